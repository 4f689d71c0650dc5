"""What commands make of routes."""

from agents.control.decide import decide
from schemas.control_events import EventType
from schemas.records import RouteRecord
from tests.agents.control.decide_kit import AT, FULL, command, events


def test_a_route_is_set_and_asks_for_its_topic() -> None:
    decision = decide(FULL, command("setRoute", name="fraud", rule={"any": ["Amount"]}), at=AT)
    made = decision.changes["route/loans/fraud"]
    assert isinstance(made, RouteRecord)
    assert made.rule.any == ["Amount"]
    assert decision.routes == ["fraud"]


def test_a_single_label_rule_may_speak_of_no_class() -> None:
    decision = decide(FULL, command("setRoute", "tickets", name="unsure", rule={"any": ["None"]}), at=AT)
    assert events(decision) == [EventType.ACCEPTED, EventType.SUCCEEDED]


def test_a_route_goes() -> None:
    assert decide(FULL, command("deleteRoute", name="review"), at=AT).changes["route/loans/review"] is None
