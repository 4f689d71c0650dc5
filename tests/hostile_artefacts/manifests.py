"""Manifests that name what they must not, or that another version wrote."""

from collections.abc import Callable

from tests.hostile_artefacts.bench import Bench


def future_manifest(bench: Bench) -> str:
    """A manifest of a format that comes later."""
    return bench.put_manifest(bench.facts() | {"formatVersion": 9, "plan": {"shape": "unheard of"}})


def more_fields(bench: Bench) -> str:
    """A manifest that says more than this version knows."""
    return bench.put_manifest(bench.facts() | {"runThis": "setup.py"})


def manifest_naming(place: str) -> Callable[[Bench], str]:
    """A manifest whose head is at ``place`` rather than a digest."""
    return lambda bench: bench.put_manifest(bench.facts() | {"head": place})


def manifest_with_file(name: str) -> Callable[[Bench], str]:
    """A manifest with one more file of its encoder."""

    def put(bench: Bench) -> str:
        facts = bench.facts()
        facts["encoder"]["files"][name] = bench.store.put(b"import os")
        return bench.put_manifest(facts)

    return put
