from agents.prove.publisher import Publisher
from agents.prove.timeline import Timeline
from agents.settings import Settings


def test_a_publisher_that_has_not_begun_can_be_ended() -> None:
    publisher = Publisher(Settings(), lambda _: b"", n_events=100, seconds=10.0, timeline=Timeline())
    publisher.stop()
    assert not publisher.done
