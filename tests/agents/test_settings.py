"""Three places, one order: environment, file, options."""

from pathlib import Path

import pytest

from agents.lanes import Lane, Priority
from agents.settings import load_settings, origins
from schemas.documents import Task
from schemas.errors import InvalidInput


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lexstream.toml"
    path.write_text('namespace = "from-file"\nwindow_tokens = 512\n')
    return path


def test_file_wins_over_environment_and_option_over_file(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setenv("LEXSTREAM_NAMESPACE", "from-environment")
    monkeypatch.setenv("LEXSTREAM_GROUP", "from-environment")
    settings = load_settings({"window_tokens": 1024, "group": None}, file=file)
    assert (settings.group, settings.namespace, settings.window_tokens) == ("from-environment", "from-file", 1024)
    found = origins({"window_tokens": 1024}, file=file)
    assert [found[name] for name in ("group", "namespace", "window_tokens", "brokers")] == [
        "environment",
        "file",
        "option",
        "default",
    ]


def test_every_unknown_name_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEXSTREAM_BROKER", "x")
    file = tmp_path / "lexstream.toml"
    file.write_text("windowtokens = 1\n")
    with pytest.raises(InvalidInput) as error:
        load_settings(file=file)
    assert error.value.problems == [
        "environment: broker is no setting",
        f"{file}: windowtokens is no setting",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"window_tokens": "many"}, "^window_tokens: got 'many', expected an integer$"),
        ({"namespace": "a b"}, "^namespace: got 'a b', expected letters, digits, _ . - and nothing else$"),
        ({"window_tokens": 5}, "^window_tokens: got 5, expected at least 256$"),
        ({"log_level": "loud"}, "^log_level: got 'loud', expected one of 'DEBUG', 'INFO', 'WARNING' or 'ERROR'$"),
        ({"include_text": "perhaps"}, "^include_text: got 'perhaps', expected true or false$"),
        ({"sasl_password": 5}, "^sasl_password: got a value that is not shown, expected text$"),
        ({"default_tasks": ["/live"]}, "^task '/live': project: got '', expected at least 1 character$"),
        ({"lanes": "a:a"}, "two different topics"),
        ({"lanes": "a:b,a:c"}, "^lanes a:b and a:c: a is the input of more than one, expected one$"),
        ({"lanes": "lexstream.documents:mine"}, "lexstream.documents is the input of more than one"),
        ({"lanes": "a:b,b:c,c:a"}, "^lane a:b: documents come back to a and would never end$"),
        (
            {"lanes": "orders:lexstream.registry"},
            "^lane orders:lexstream.registry: lexstream.registry is one of our own",
        ),
        ({"lanes": "lexstream.dead-letters:again"}, "lexstream.dead-letters is one of our own topics"),
        (
            {"default_tasks": "lexstream.document=loans/live"},
            "lexstream.document is no input of a lane, expected one of",
        ),
        ({"default_tasks": "orders=loans"}, "expected PROJECT/DEPLOYMENT"),
        ({"default_tasks": ["loans"]}, "expected PROJECT/DEPLOYMENT"),
        ({"security_protocol": "SASL_SSL"}, "needs sasl_username and sasl_password"),
        (
            {"security_protocol": "SASL_SSL", "sasl_username": "anna"},
            "^security_protocol SASL_SSL needs sasl_password$",
        ),
        (
            {"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER", "sasl_oauth_client_id": "anna"},
            "^sasl_mechanism OAUTHBEARER needs sasl_oauth_token_url and sasl_oauth_client_secret$",
        ),
        (
            {"sasl_oauth_token_url": "http://idp.example.org/t"},
            "^sasl_oauth_token_url: got http://idp.example.org, exp",
        ),
    ],
)
def test_wrong_values_are_named(options: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=said):
        load_settings(options, file=tmp_path / "none.toml")


def test_lanes_of_the_namespace_come_with_further_ones(tmp_path: Path) -> None:
    settings = load_settings({"lanes": "orders:enriched-orders,live:answers:interactive"}, file=tmp_path / "none.toml")
    assert settings.all_lanes == (
        Lane("lexstream.requests", "lexstream.replies", Priority.INTERACTIVE),
        Lane("live", "answers", Priority.INTERACTIVE),
        Lane("lexstream.documents", "lexstream.enriched"),
        Lane("orders", "enriched-orders"),
    )


def test_a_lane_may_go_on_where_another_one_ends(tmp_path: Path) -> None:
    given = {"lanes": "lexstream.enriched:twice,a:b,c:b,b:d", "default_tasks": "lexstream.enriched=loans/live"}
    assert len(load_settings(given, file=tmp_path / "none.toml").all_lanes) == 6


def test_default_tasks_may_be_for_one_topic(tmp_path: Path) -> None:
    given = {"lanes": "orders:answers", "default_tasks": "loans/production,orders=tickets/live"}
    settings = load_settings(given, file=tmp_path / "none.toml")
    loans, tickets = Task(project="loans", deployment="production"), Task(project="tickets", deployment="live")
    assert settings.tasks_of("orders") == (loans, tickets)
    assert settings.tasks_of("lexstream.documents") == (loans,)


def test_what_may_be_missing_is_missing_when_it_is_empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = ("group_instance_id", "sasl_username", "sasl_password", "ssl_certfile", "schema_registry_url")
    for name in names:
        monkeypatch.setenv(f"LEXSTREAM_{name.upper()}", "")
    settings = load_settings(file=tmp_path / "none.toml")
    assert [getattr(settings, name) for name in names] == [None] * len(names)


def test_a_login_that_would_not_be_used_is_refused(tmp_path: Path) -> None:
    given = {"sasl_username": "anna", "sasl_password": "hush"}
    with pytest.raises(InvalidInput, match=r"^got sasl_password and sasl_username, but security_protocol") as error:
        load_settings(given, file=tmp_path / "none.toml")
    assert "hush" not in str(error.value)


def test_what_is_wrong_is_told_with_the_places_where_it_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "lexstream.toml"
    file.write_text('sasl_username = "anna"\n')
    monkeypatch.setenv("LEXSTREAM_SASL_PASSWORD", "hush")
    with pytest.raises(InvalidInput) as error:
        load_settings({"sasl_mechanism": "PLAIN"}, file=file)
    assert error.value.problems == [
        "got sasl_password and sasl_username, but security_protocol PLAINTEXT logs nobody in: expected SASL_SSL or "
        "SASL_PLAINTEXT (sasl_username is set in lexstream.toml, sasl_password is set in the environment)"
    ]


def test_secrets_do_not_show(tmp_path: Path) -> None:
    settings = load_settings(
        {"security_protocol": "SASL_SSL", "sasl_username": "u", "sasl_password": "hush"}, file=tmp_path / "none.toml"
    )
    assert "hush" not in repr(settings)


def test_a_copy_with_another_namespace_has_its_topics_and_lanes() -> None:
    settings = load_settings({"namespace": "one"})
    assert (settings.topics.documents, settings.all_lanes[-1].input) == ("one.documents", "one.documents")
    copied = settings.model_copy(update={"namespace": "two"})
    assert (copied.topics.documents, copied.all_lanes[-1].input) == ("two.documents", "two.documents")
    assert settings.topics.documents == "one.documents"
