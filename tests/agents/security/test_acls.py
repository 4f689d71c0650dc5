"""What docs/security.md says each role needs: it is enough, and nothing of it can be left out."""

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclBindingFilter, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from agents.acls import Acl, Operation, Pattern, Role, acls_of
from agents.acls import ResourceType as Resource
from agents.rights import missing_rights, require_rights
from agents.settings import Settings, load_settings
from schemas.errors import InvalidInput
from tests.agents.security.inside import working
from tests.agents.security.secured import Secured
from tests.agents.security.story import (
    Call,
    Values,
    dead_letters,
    documents_in_and_out,
    look_around,
    read_as_group,
    said_by,
    set_up,
)

pytestmark = pytest.mark.broker
_OPERATIONS = {
    Operation.READ: AclOperation.READ,
    Operation.WRITE: AclOperation.WRITE,
    Operation.CREATE: AclOperation.CREATE,
    Operation.DESCRIBE: AclOperation.DESCRIBE,
    Operation.DESCRIBE_CONFIGS: AclOperation.DESCRIBE_CONFIGS,
}
_RESOURCES = {
    Resource.TOPIC: ResourceType.TOPIC,
    Resource.GROUP: ResourceType.GROUP,
    Resource.TRANSACTIONAL_ID: ResourceType.TRANSACTIONAL_ID,
}
_NAMESPACE = "acls"
_DECISION = re.compile(r"Principal = User:(\w+) is Allowed operation = (\w+) .* on resource = (\w+):LITERAL:(\S+) for")


class Authorizer:
    """Allows and forbids."""

    def __init__(self, brokers: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": brokers})

    def allow(self, role: Role, acls: Iterable[Acl]) -> None:
        for done in self._admin.create_acls([_binding(role, acl) for acl in acls]).values():
            done.result(20)

    def forbid(self, role: Role, acl: Acl) -> None:
        one = AclBindingFilter(*_place(acl), f"User:{role}", "*", _OPERATIONS[acl.operation], AclPermissionType.ALLOW)
        for done in self._admin.delete_acls([one]).values():
            assert len(done.result(20)) == 1


def _binding(role: Role, acl: Acl) -> AclBinding:
    return AclBinding(*_place(acl), f"User:{role}", "*", _OPERATIONS[acl.operation], AclPermissionType.ALLOW)


def _place(acl: Acl) -> tuple[ResourceType, str, ResourcePatternType]:
    pattern = ResourcePatternType.PREFIXED if acl.pattern is Pattern.PREFIXED else ResourcePatternType.LITERAL
    return _RESOURCES[acl.resource], acl.name, pattern


@dataclass(frozen=True)
class Stage:
    """A broker where each role may do what is documented for it, and where all have done their work once."""

    secured: Secured
    authorizer: Authorizer
    home: Path

    def values(self, role: Role) -> Values:
        ours = {"namespace": _NAMESPACE, "group": _NAMESPACE, "home": str(self.home), "metrics_port": "0"}
        return {**self.secured.role(role), **ours}

    def settings(self, role: Role) -> Settings:
        return load_settings(self.values(role), file=Path("no-file"))

    def acls(self, role: Role) -> tuple[Acl, ...]:
        return acls_of(role, self.settings(role))


@pytest.fixture(scope="module")
def stage(secured: Secured, tmp_path_factory: pytest.TempPathFactory, call_anywhere: Call) -> Stage:
    home = tmp_path_factory.mktemp("acls")
    made = Stage(secured, Authorizer(secured.plain), home)
    for role in Role:
        made.authorizer.allow(role, made.acls(role))
    call_anywhere(made.values(Role.ADMINISTRATOR), "topics", "create", "--partitions", "1")
    with working(made.settings(Role.WORKER), made.settings(Role.TRAINER)):
        set_up(call_anywhere, made.values, home)
        call_anywhere(made.values(Role.ADMINISTRATOR), "topics", "check")
        for act in (look_around, documents_in_and_out, dead_letters):
            act(call_anywhere, made.values, home)
        assert b"Jane" in read_as_group(made.values(Role.CONSUMER), f"{_NAMESPACE}.enriched")
    return made


def used(secured: Secured) -> Iterator[tuple[str, Acl]]:
    """Yield what the authorizer let each role do."""
    for line in secured.audit.read_text().splitlines():
        if found := _DECISION.search(line):
            role, operation, resource, name = found.groups()
            kinds = {"Topic": Resource.TOPIC, "Group": Resource.GROUP, "TransactionalId": Resource.TRANSACTIONAL_ID}
            if resource in kinds:
                yield role, Acl(kinds[resource], name, Operation(operation.title().replace("_", "")))


def covers(acl: Acl, use: Acl) -> bool:
    fits = use.name.startswith(acl.name) if acl.pattern is Pattern.PREFIXED else use.name == acl.name
    return fits and (acl.resource, acl.operation) == (use.resource, use.operation)


def test_who_may_not_see_dead_letters_watches_all_the_same_and_is_told(stage: Stage) -> None:
    code, out, err = said_by(
        stage.values(Role.CONSUMER), "watch", "--from-beginning", "--count", "1", "--timeout", "30"
    )
    assert (code, "Jane" in out) == (0, True), err
    assert f"left out: Kafka does not let us see {_NAMESPACE}.dead-letters" in err


def test_what_is_documented_is_enough_and_all_of_it_is_used(stage: Stage) -> None:
    """Each ACL was asked for by name in the one story: without it, that request would have been denied."""
    uses = set(used(stage.secured))
    unused = {
        (role, acl)
        for role in Role
        for acl in stage.acls(role)
        if not any(covers(acl, u) for r, u in uses if r == role)
    }
    # Only a trainer that meets a job which everybody forgot writes to the jobs.
    assert unused == {(Role.TRAINER, Acl(Resource.TOPIC, f"{_NAMESPACE}.jobs", Operation.WRITE))}


@pytest.mark.parametrize("role", [Role.WORKER, Role.TRAINER])
def test_a_process_that_lacks_one_right_names_it_when_it_starts(stage: Stage, role: Role) -> None:
    settings, acls = stage.settings(role), stage.acls(role)
    asyncio.run(require_rights(settings, role))
    for acl in acls:
        stage.authorizer.forbid(role, acl)
        eventually(lambda: asyncio.run(missing_rights(settings, acls)), [acl])
        stage.authorizer.allow(role, [acl])
    stage.authorizer.forbid(role, acls[0])
    eventually(lambda: asyncio.run(missing_rights(settings, acls)), [acls[0]])
    words = re.escape(f"Kafka does not allow User:{role} what a {role} needs: {acls[0]}; add these ACLs")
    with pytest.raises(InvalidInput, match=f"^{words}"):
        asyncio.run(require_rights(settings, role))
    stage.authorizer.allow(role, [acls[0]])
    eventually(lambda: asyncio.run(missing_rights(settings, acls)), [])


@pytest.mark.parametrize(
    ("role", "topic", "operation", "words"),
    [
        (Role.PUBLISHER, "documents", Operation.WRITE, "publish {letter} --task loans/production"),
        (Role.PUBLISHER, "registry", Operation.READ, "publish {letter} --task loans/production"),
        (Role.INTERACTIVE, "requests", Operation.WRITE, "analyze loans/production {letter} --timeout 1"),
        (Role.INTERACTIVE, "replies", Operation.READ, "analyze loans/production {letter} --timeout 1"),
        (Role.INTERACTIVE, "dead-letters", Operation.READ, "analyze loans/production {letter} --timeout 1"),
        (Role.CONSUMER, "enriched", Operation.READ, "watch --timeout 0.5"),
        (Role.OPERATOR, "control", Operation.WRITE, "project create other --kind entities"),
        (Role.OPERATOR, "control-events", Operation.READ, "events --timeout 0.5"),
        (Role.OPERATOR, "registry", Operation.READ, "deployments list"),
        (Role.OPERATOR, "labels", Operation.READ, "project show loans"),
        (Role.REPLAYER, "dead-letters", Operation.READ, "dead-letters list"),
        (Role.ADMINISTRATOR, "", Operation.CREATE, "topics create --lane acls.in{number}:acls.out"),
        (Role.ADMINISTRATOR, "", Operation.DESCRIBE, "topics check"),
        (Role.ADMINISTRATOR, "", Operation.DESCRIBE_CONFIGS, "topics check"),
        (Role.ADMINISTRATOR, "registry", Operation.READ, "topics check"),
    ],
)
def test_a_command_that_lacks_one_right_says_so_in_one_line(
    stage: Stage, role: Role, topic: str, operation: Operation, words: str
) -> None:
    letter = stage.home / "letter.txt"
    acl = next(one for one in stage.acls(role) if one.name == f"{_NAMESPACE}.{topic}" and one.operation == operation)
    stage.authorizer.forbid(role, acl)
    said: list[str] = []

    numbers = count()

    def refused() -> bool:
        line = words.format(letter=letter, number=next(numbers))
        code, _, err = said_by(stage.values(role), *line.split())
        said[:] = err.splitlines()
        return code == 1 and err.startswith("lexstream: Kafka does not let us")

    try:
        eventually(refused, True, lambda: said)
        assert len(said) == 1
        assert f"{_NAMESPACE}.{topic}" in said[0]
    finally:
        stage.authorizer.allow(role, [acl])


def eventually(look: Callable[[], object], expected: object, why: Callable[[], object] = lambda: "") -> None:
    """A broker applies what the controller noted a moment later."""
    end = time.monotonic() + 10
    while (found := look()) != expected:
        assert time.monotonic() < end, (found, why())
