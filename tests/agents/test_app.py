"""Faust on our own event loop: what it must leave alone, and how it ends."""

import asyncio
import contextlib
import logging
import signal
from pathlib import Path

import pytest

from agents.app import create_app, group_of, run_app
from agents.settings import Settings
from agents.topics import create_topics
from schemas.errors import Fatal, InvalidSettings
from tests.agents.control_kit import Outside, settings_of


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_of("nowhere:1", "ns", tmp_path, group_instance_id="pod-0", session_timeout_s=12)


async def test_roles_have_groups_and_members_of_their_own(settings: Settings) -> None:
    worker, trainer = create_app(settings, role="worker"), create_app(settings, role="trainer")
    assert (worker.conf.id, trainer.conf.id) == ("ns-control", "ns-trainer")
    assert group_of(settings, "worker") == "ns-control"
    assert worker.conf.consumer_group_instance_id == "pod-0-control"
    assert trainer.conf.consumer_group_instance_id == "pod-0-trainer"


async def test_nothing_listens_and_no_topics_are_made(settings: Settings) -> None:
    conf = create_app(settings, role="worker").conf
    assert conf.web_enabled is False
    assert conf.topic_allow_declare is False
    assert conf.topic_disable_leader is True
    assert conf.broker_session_timeout == 12
    assert conf.broker_session_timeout < conf.broker_request_timeout


async def test_a_home_that_is_missing_is_made(tmp_path: Path) -> None:
    home = tmp_path / "not" / "there"
    create_app(settings_of("nowhere:1", "ns", home), role="worker")
    assert home.is_dir()


async def test_a_home_that_cannot_be_made_is_a_setting_to_change(tmp_path: Path) -> None:
    (tmp_path / "faust").touch()
    with pytest.raises(InvalidSettings, match=r"^home: .*/faust cannot be made \(File exists\); expected a folder"):
        create_app(settings_of("nowhere:1", "ns", tmp_path), role="worker")


class _Service:
    def __init__(self, said: list[str], name: str) -> None:
        self._said, self._name = said, name

    async def start(self) -> None:
        self._said.append(f"+{self._name}")

    async def stop(self) -> None:
        self._said.append(f"-{self._name}")


@pytest.mark.broker
async def test_signals_and_logging_stay_ours_and_services_stop_in_the_other_order(
    kafka: str, namespace: str, tmp_path: Path
) -> None:
    settings = settings_of(kafka, namespace, tmp_path)
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)], list(logging.root.handlers)
    said: list[str] = []
    stop = asyncio.Event()
    async with Outside(settings) as outside:
        app = create_app(settings, role="worker")
        topic = app.topic(settings.topics.control, key_serializer="raw", value_serializer="raw", acks=False)

        async def agent(stream: object) -> None:
            async for event in stream.noack().events():  # type: ignore[attr-defined]
                said.append(event.value.decode())
                stop.set()

        app.agent(topic, name="test")(agent)
        await outside.hand_in(b"hello")
        async with asyncio.timeout(30):
            await run_app(app, [_Service(said, "a"), _Service(said, "b")], stop)
    assert said == ["+a", "+b", "hello", "-b", "-a"]
    assert before == ([signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)], list(logging.root.handlers))
    assert not app.conf.datadir.exists()


class _Unstartable:
    """Faust's services cancel each other when one cannot start."""

    async def start(self) -> None:
        raise asyncio.CancelledError


class _Starting:
    """An app that waits for Kafka."""

    class conf:
        datadir = Path("nowhere")

    def __init__(self) -> None:
        self.begun, self.stopped = asyncio.Event(), False

    async def start(self) -> None:
        self.begun.set()
        await asyncio.Event().wait()

    async def stop(self) -> None:
        self.stopped = True


async def test_an_app_that_cannot_start_is_no_cancellation() -> None:
    with pytest.raises(Fatal, match="gave up while it started"):
        await run_app(_Unstartable(), [], asyncio.Event())


async def test_a_cancelled_start_stays_cancelled() -> None:
    app = _Starting()
    starting = asyncio.create_task(run_app(app, [], asyncio.Event()))
    await app.begun.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting


async def test_an_app_that_still_starts_is_stopped_at_once_with_what_runs_beside_it() -> None:
    app, said, stop = _Starting(), list[str](), asyncio.Event()
    running = asyncio.create_task(run_app(app, [_Service(said, "a")], stop))
    await app.begun.wait()
    stop.set()
    await asyncio.wait_for(running, 5)
    assert (app.stopped, said) == (True, ["+a", "-a"])


class _Stuck(_Starting):
    """An app of which four parts do not stop; mode takes a cancellation for the end of one."""

    async def stop(self) -> None:
        for _ in range(4):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        self.stopped = True


async def test_an_app_that_does_not_stop_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("agents.app._STOP_S", 0.01)
    monkeypatch.setattr("agents.app._STUCK_S", 0.01)
    app, stop = _Stuck(), asyncio.Event()
    running = asyncio.create_task(run_app(app, [], stop))
    await app.begun.wait()
    stop.set()
    await asyncio.wait_for(running, 5)
    assert app.stopped
    assert "Faust did not stop within" in caplog.text


@pytest.mark.broker
async def test_an_app_that_crashes_ends_the_process(kafka: str, namespace: str, tmp_path: Path) -> None:
    settings = settings_of(kafka, namespace, tmp_path)
    await create_topics(settings, 1)
    app = create_app(settings, role="worker")
    running = asyncio.create_task(run_app(app, [], asyncio.Event()))
    async with asyncio.timeout(30):
        await app.wait_for_stopped(asyncio.sleep(0.5))
        await app.crash(RuntimeError("boom"))
        with pytest.raises(Fatal, match="Faust stopped by itself"):
            await running
