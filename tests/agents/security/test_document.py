"""docs/security.md shows what the processes look for and what the tests give."""

from collections.abc import Sequence

from agents.acls import Acl, Operation, Pattern, ResourceType, Role, acls_of, command, grants
from agents.settings import Settings
from tests.agents.security.document import DOCUMENT, renewed


def test_the_document_shows_the_acls_of_now() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert renewed(text) == text, "run: python -m tests.agents.security.document"


def test_the_commands_give_exactly_the_acls() -> None:
    for role in Role:
        acls = acls_of(role, Settings())
        given = [acl for grant in grants(acls) for acl in read(command(grant, principal="anna"))]
        assert sorted(given) == sorted(set(acls)) == sorted(acls)


def read(words: Sequence[str]) -> list[Acl]:
    """Read a command as ``kafka-acls.sh`` does: each operation on each resource."""
    pairs = dict[str, list[str]]()
    for name, value in zip(words[2::2], words[3::2], strict=True):
        pairs.setdefault(name.removeprefix("--"), []).append(value)
    pattern = Pattern(pairs.get("resource-pattern-type", ["literal"])[0])
    return [
        Acl(resource, name, Operation(operation), pattern)
        for resource in ResourceType
        for name in pairs.get(resource, [])
        for operation in pairs["operation"]
    ]


def test_lanes_and_group_of_ones_own_are_in_the_sets() -> None:
    settings = Settings(group="g", lanes=["orders:answers"])
    names = {acl.name for acl in acls_of(Role.WORKER, settings)}
    assert {"orders", "answers", "g", "g-control", "g-orders-", "g-controller"} <= names
    assert Acl(ResourceType.TOPIC, "orders", Operation.CREATE) in acls_of(Role.ADMINISTRATOR, settings)
