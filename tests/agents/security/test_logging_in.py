"""Every way to log in works for all of Lexstream; whatever Kafka refuses is one line, soon, and without a secret."""

import asyncio
import gc
import logging
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

import agents.cli.logs
from agents import kafka
from agents.broker.address import free_port
from agents.kafka import wait_for_broker
from agents.prove.clients import confluent_options
from agents.settings import Settings, load_settings
from schemas.errors import InvalidSettings, Unavailable
from tests.agents.security.inside import working
from tests.agents.security.secured import CLIENT_SECRET, PASSWORD, WRONG, Secured
from tests.agents.security.story import Call, Values, documents_in_and_out, said_by, set_up

pytestmark = pytest.mark.broker
QUIETENED = ("agents", "aiokafka", "asyncio", "kafka")
_FINAL_S = 10.0
"""Far below the wait for a broker that is away, and enough for a machine that does three other things."""


@pytest.fixture(autouse=True)
def _no_token_is_left() -> Iterator[None]:
    kafka._shared.cache_clear()
    yield
    kafka._shared.cache_clear()


def settings(values: Values) -> Settings:
    return load_settings(values, file=Path("no-file"))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that is logged, also by commands."""
    monkeypatch.setattr(agents.cli.logs, "quieten", lambda: None)
    for name in (None, *QUIETENED):
        caplog.set_level(logging.INFO, logger=name)
    return caplog


@pytest.fixture
def ours(namespace: str, tmp_path: Path) -> Values:
    return {"namespace": namespace, "group": namespace, "home": str(tmp_path), "metrics_port": "0"}


# The story of the ACLs has everybody log in with PLAIN.
@pytest.mark.parametrize("way", ["TLS", "mTLS", "SCRAM-SHA-512", "OAUTHBEARER"])
def test_worker_trainer_and_commands_work(
    way: str, secured: Secured, ours: Values, call_anywhere: Call, log: pytest.LogCaptureFixture
) -> None:
    values = {**secured.settings(way), **ours}
    tmp_path = Path(ours["home"])
    call_anywhere(values, "topics", "create", "--partitions", "1")
    with working(settings(values), settings(values)):
        set_up(call_anywhere, lambda _: values, tmp_path)
        documents_in_and_out(call_anywhere, lambda _: values, tmp_path)
    call_anywhere(values, "topics", "check")
    independent = Producer(confluent_options(settings(values)))
    independent.produce(f"{values['namespace']}.documents", b"{}")
    assert independent.flush(20) == 0
    assert "ready to serve" in log.text
    assert not secrets_in(log.text)


def secrets_in(text: str) -> list[str]:
    return [secret for secret in (PASSWORD, CLIENT_SECRET, WRONG, "eyJ") if secret in text]


def refused(secured: Secured, case: str) -> tuple[dict[str, str], str]:
    """Return settings that Kafka refuses, and what is to be said."""
    at, pem = secured.at, secured.certificates.path
    ways = {way: secured.settings(way) for way in ("TLS", "mTLS", "PLAIN", "SCRAM-SHA-512", "OAUTHBEARER")}
    plain, tls, mtls = ways["PLAIN"], ways["TLS"], ways["mTLS"]
    certificate = "refuses our certificate, or the lack of one"
    return {
        "wrong password": (plain | {"sasl_password": WRONG}, "refuses the login of anna with PLAIN"),
        "wrong scram password": (
            ways["SCRAM-SHA-512"] | {"sasl_password": WRONG},
            "refuses the login of anna with SCRAM-SHA-512",
        ),
        "wrong client secret": (
            ways["OAUTHBEARER"] | {"sasl_oauth_client_secret": WRONG},
            "gives client anna no token: HTTP 401 (invalid_client)",
        ),
        "mechanism not offered": (plain | {"sasl_mechanism": "SCRAM-SHA-256"}, "does not offer sasl_mechanism"),
        "unknown authority": (tls | {"ssl_cafile": str(pem("other-authority"))}, "is not trusted: unable to get local"),
        "no certificate": ({**mtls, "ssl_certfile": ""}, certificate),
        "expired certificate": (mtls | {"ssl_certfile": str(pem("expired"))}, certificate),
        "certificate of a stranger": (mtls | {"ssl_certfile": str(pem("stranger"))}, certificate),
        "missing certificate": (mtls | {"ssl_certfile": "no.pem"}, "ssl_certfile no.pem: no such file"),
        "missing authority": (tls | {"ssl_cafile": "no.pem"}, "ssl_cafile no.pem: No such file"),
        "key of another": (mtls | {"ssl_keyfile": str(pem("stranger"))}, "is not the key of ssl_certfile"),
        "in the clear to TLS": ({"brokers": at["TLS"]}, "speaks SSL, got security_protocol PLAINTEXT"),
        "in the clear to mTLS": ({"brokers": at["MTLS"]}, "speaks SSL, got security_protocol PLAINTEXT"),
        "in the clear to SASL": ({"brokers": at["SASL_SSL"]}, "speaks SASL_SSL, got security_protocol PLAINTEXT"),
        "TLS to a listener without": (tls | {"brokers": secured.plain}, "speaks PLAINTEXT, got security_protocol SSL"),
        "TLS to SASL": (tls | {"brokers": at["SASL_SSL"]}, "speaks SASL_SSL, got security_protocol SSL"),
        "SASL to TLS": (plain | {"brokers": at["TLS"]}, "speaks SSL, got security_protocol SASL_SSL"),
        "SASL over TLS to SASL": (plain | {"brokers": at["SASL_PLAINTEXT"]}, "speaks SASL_PLAINTEXT, got"),
    }[case]


_CASES = (
    "wrong password",
    "wrong scram password",
    "wrong client secret",
    "mechanism not offered",
    "unknown authority",
    "no certificate",
    "expired certificate",
    "certificate of a stranger",
    "missing certificate",
    "missing authority",
    "key of another",
    "in the clear to TLS",
    "in the clear to mTLS",
    "in the clear to SASL",
    "TLS to a listener without",
    "TLS to SASL",
    "SASL to TLS",
    "SASL over TLS to SASL",
)


@pytest.mark.parametrize("case", _CASES)
def test_a_refusal_is_one_line_at_once(case: str, secured: Secured) -> None:
    values, words = refused(secured, case)
    started = time.monotonic()
    code, out, err = said_by(values, "topics", "check")
    assert time.monotonic() - started < _FINAL_S
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert words in err
    assert not secrets_in(err)


@pytest.mark.parametrize("case", ["wrong password", "wrong client secret", "no certificate", "SASL to TLS"])
def test_a_refusal_leaves_no_connection_open(case: str, secured: Secured) -> None:
    values, _ = refused(secured, case)
    gc.collect()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with pytest.raises(InvalidSettings):
            asyncio.run(wait_for_broker(settings(values)))
        gc.collect()
    assert [str(one.message) for one in said if one.category is ResourceWarning] == []


def test_a_token_that_the_broker_does_not_take_is_one_line(secured: Secured) -> None:
    """aiokafka takes this answer of a broker for a success."""
    secured.tokens.age_s = 7200
    try:
        with pytest.raises(InvalidSettings, match="refuses the login with OAUTHBEARER: invalid_token"):
            asyncio.run(wait_for_broker(settings(secured.settings("OAUTHBEARER"))))
    finally:
        secured.tokens.age_s = 0


def test_an_endpoint_that_is_busy_is_waited_for(secured: Secured) -> None:
    secured.tokens.answer = 503, b"busy"
    try:
        with pytest.raises(Unavailable, match=r"gives no token: HTTP 503; check sasl_oauth_token_url"):
            asyncio.run(wait_for_broker(settings({**secured.settings("OAUTHBEARER"), "broker_wait_s": "0.6"})))
    finally:
        secured.tokens.answer = None


def test_nobody_there_is_waited_for(secured: Secured) -> None:
    values = {**secured.settings("TLS"), "broker_wait_s": "0.6"}
    with pytest.raises(Unavailable, match="no Kafka answers"):
        asyncio.run(wait_for_broker(settings({**values, "brokers": f"127.0.0.1:{free_port()}"})))


def test_one_good_address_among_bad_ones_is_enough(secured: Secured) -> None:
    values = secured.settings("TLS")
    brokers = f"{secured.at['SASL_SSL']},127.0.0.1:{free_port()},{values['brokers']}"
    asyncio.run(wait_for_broker(settings({**values, "brokers": brokers})))


def test_a_worker_with_a_wrong_password_ends_with_one_line(
    secured: Secured, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from agents.trainer import run_trainer
    from agents.worker import run_worker

    values = {**secured.settings("SCRAM-SHA-512"), "sasl_password": WRONG, "home": str(tmp_path), "metrics_port": "0"}
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    logging.getLogger("agents").setLevel(logging.NOTSET)
    try:
        codes = [run(settings(values)) for run in (run_worker, run_trainer)]
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    lines = capfd.readouterr().err.splitlines()
    assert codes == [2, 2]
    assert len(lines) == 2
    assert all("refuses the login of anna with SCRAM-SHA-512" in line for line in lines)
    assert not secrets_in("".join(lines))
