from schemas.topics import Topics, TopicSpec, topic_specs


def specs_by_name(**options: int) -> dict[str, TopicSpec]:
    return {spec.name: spec for spec in topic_specs(Topics("ns"), partitions=6, routes=["legal"], **options)}


def test_names_begin_with_the_namespace() -> None:
    assert set(specs_by_name()) == {
        "ns.documents",
        "ns.enriched",
        "ns.requests",
        "ns.replies",
        "ns.routes.legal",
        "ns.dead-letters",
        "ns.control",
        "ns.control-events",
        "ns.registry",
        "ns.labels",
        "ns.jobs",
    }


def test_outputs_have_as_many_partitions_as_inputs() -> None:
    specs = specs_by_name()
    data = ["ns.documents", "ns.enriched", "ns.requests", "ns.replies", "ns.routes.legal", "ns.dead-letters"]
    assert {specs[name].partitions for name in data} == {6}


def test_control_plane_has_one_order() -> None:
    specs = specs_by_name()
    assert [specs[f"ns.{name}"].partitions for name in ("control", "control-events", "registry")] == [1, 1, 1]
    assert (specs["ns.labels"].partitions, specs["ns.jobs"].partitions) == (4, 8)


def test_registry_and_labels_are_compacted_and_nothing_else_is() -> None:
    compacted = {name for name, spec in specs_by_name().items() if spec.config.get("cleanup.policy") == "compact"}
    assert compacted == {"ns.registry", "ns.labels"}


def test_what_is_the_truth_never_expires() -> None:
    kept = {name for name, spec in specs_by_name().items() if spec.config.get("retention.ms") == "-1"}
    assert kept == {"ns.registry", "ns.labels", "ns.control-events"}


def test_largest_document_fits_through_with_its_results() -> None:
    specs = specs_by_name()
    assert specs["ns.documents"].config["max.message.bytes"] == "8388608"
    for name in ("enriched", "replies", "dead-letters", "routes.legal"):
        assert specs[f"ns.{name}"].config["max.message.bytes"] == "20971520"


def test_three_replicas_mean_that_two_must_have_a_write() -> None:
    assert all(spec.config["min.insync.replicas"] == "2" for spec in specs_by_name(replication=3).values())
    assert not any("min.insync.replicas" in spec.config for spec in specs_by_name(replication=1).values())


def test_a_route_is_found_by_its_topic() -> None:
    topics = Topics("ns")
    assert topics.route_name(topics.route("legal")) == "legal"
    assert topics.route_name(topics.documents) is None
