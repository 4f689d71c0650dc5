"""A real Kafka with every way of logging in and the authorizer on, certificates, and an endpoint that gives tokens."""

import base64
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from agents.broker.config import Extras

PASSWORD = "correct-horse-battery"
CLIENT_SECRET = "s3cret &+ of the client"
WRONG = "wrong-password-wrong"
USERS = ("anna", "worker", "trainer", "publisher", "consumer", "operator", "replayer", "administrator", "interactive")
LISTENERS = ("TLS", "MTLS", "SASL_SSL", "SASL_PLAINTEXT")


@dataclass(frozen=True)
class Certificates:
    """PEM files: of an authority, of a client it knows, of a client whose time is over, and of a stranger."""

    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.pem"


def make_certificates(folder: Path) -> Certificates:
    ours, other = trustme.CA(), trustme.CA()
    made = Certificates(folder)
    ours.cert_pem.write_to_path(made.path("authority"))
    other.cert_pem.write_to_path(made.path("other-authority"))
    from datetime import UTC, datetime, timedelta

    past = datetime.now(UTC) - timedelta(days=1)
    _write(made, "server", ours.issue_cert("127.0.0.1", "localhost", common_name="server"))
    _write(made, "client", ours.issue_cert("anna@example.org", common_name="anna"))
    _write(made, "expired", ours.issue_cert("anna@example.org", common_name="anna", not_after=past))
    _write(made, "stranger", other.issue_cert("anna@example.org", common_name="anna"))
    return made


def _write(made: Certificates, name: str, pair: trustme.LeafCert) -> None:
    # Java reads keys in PKCS 8 only.
    key = load_pem_private_key(pair.private_key_pem.bytes(), None)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain = b"".join(blob.bytes() for blob in pair.cert_chain_pems)
    made.path(name).write_bytes(pem + chain)


def extras(certificates: Certificates, ports: dict[str, int]) -> Extras:
    users = " ".join(f'user_{name}="{PASSWORD}"' for name in USERS)
    jaas = {
        "plain": f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};",
        "scram-sha-512": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        "oauthbearer": "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required "
        'unsecuredLoginStringClaim_sub="broker";',
    }
    properties = {
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,MTLS:SSL,"
        "SASL_SSL:SASL_SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificates.path("server")),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(certificates.path("authority")),
        "ssl.principal.mapping.rules": r"RULE:^.*CN=([a-z]+).*$/$1/,DEFAULT",
        "listener.name.mtls.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512,OAUTHBEARER",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        # Who comes without a name is this test, or the broker itself.
        "super.users": "User:ANONYMOUS;User:anna",
    }
    for listener in ("sasl_ssl", "sasl_plaintext"):
        for mechanism, module in jaas.items():
            properties[f"listener.name.{listener}.{mechanism}.sasl.jaas.config"] = module
    return Extras(
        listeners=tuple(f"{name}://127.0.0.1:{port}" for name, port in ports.items()),
        properties=properties,
        format_options=("--add-scram", f"SCRAM-SHA-512=[name=anna,password={PASSWORD}]"),
        jvm_options=(f"-Dlog4j2.configurationFile={_audit_settings(certificates.folder)}",),
    )


def _audit_settings(folder: Path) -> Path:
    """Write Log4j's settings: what the authorizer decides goes to ``audit.log``."""
    settings = folder / "audit.properties"
    settings.write_text(
        f"""appender.audit.type=File
appender.audit.name=audit
appender.audit.fileName={folder / "audit.log"}
appender.audit.layout.type=PatternLayout
appender.audit.layout.pattern=%m%n
logger.audit.name=kafka.authorizer.logger
logger.audit.level=debug
logger.audit.appenderRef.audit.ref=audit
rootLogger.level=off
"""
    )
    return settings


@dataclass
class Secured:
    """The addresses of a broker, and how to get in.

    Attributes:
        plain: Where anybody gets in as a super user: for the test itself.
        at: The address of each listener.
        certificates: PEM files.
        tokens: The endpoint that gives tokens.
    """

    plain: str
    at: dict[str, str]
    certificates: Certificates
    tokens: "TokenEndpoint"

    @property
    def audit(self) -> Path:
        """Where the authorizer writes what it decides."""
        return self.certificates.folder / "audit.log"

    def settings(self, way: str) -> dict[str, str]:
        """Return the settings of one way to log in, as anna."""
        authority = {"ssl_cafile": str(self.certificates.path("authority"))}
        sasl = {"brokers": self.at["SASL_SSL"], "security_protocol": "SASL_SSL", **authority}
        user = {"sasl_username": "anna", "sasl_password": PASSWORD}
        return {
            "TLS": {"brokers": self.at["TLS"], "security_protocol": "SSL", **authority},
            "mTLS": {
                "brokers": self.at["MTLS"],
                "security_protocol": "SSL",
                "ssl_certfile": str(self.certificates.path("client")),
                **authority,
            },
            "PLAIN": {**sasl, "sasl_mechanism": "PLAIN", **user},
            "SCRAM-SHA-512": {**sasl, "sasl_mechanism": "SCRAM-SHA-512", **user},
            "OAUTHBEARER": {
                **sasl,
                "sasl_mechanism": "OAUTHBEARER",
                "sasl_oauth_token_url": self.tokens.url,
                "sasl_oauth_client_id": "anna",
                "sasl_oauth_client_secret": CLIENT_SECRET,
                "sasl_oauth_scope": "kafka",
            },
        }[way]

    def role(self, name: str) -> dict[str, str]:
        """Return the settings of a user who may only do what a role may."""
        return self.settings("PLAIN") | {"sasl_username": name}


@dataclass
class TokenEndpoint:
    """What it answers with, and what it was asked.

    Attributes:
        url: Where it is.
        life_s: How long its tokens hold, as it says.
        subject: Whom the tokens name; the client's id if ``None``.
        answer: Status and body in place of a token.
        asked: The forms it got.
    """

    url: str
    life_s: int = 3600
    age_s: int = 0
    answer: tuple[int, bytes] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[dict[str, list[str]]] = field(default_factory=list)

    def reply(self, authorization: str, body: bytes) -> tuple[int, bytes]:
        self.asked.append(urllib.parse.parse_qs(body.decode()))
        if self.answer:
            return self.answer
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        client, _, secret = pair.partition(":")
        # We encode it as the RFC has it; librdkafka, which the tests use as well, does not.
        if CLIENT_SECRET not in {secret, urllib.parse.unquote_plus(secret)}:
            return 401, json.dumps({"error": "invalid_client", "error_description": f"not {secret}"}).encode()
        token = unsecured_token(client, life_s=self.life_s, age_s=self.age_s)
        return 200, json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": self.life_s}).encode()


def unsecured_token(subject: str, *, life_s: int, age_s: int = 0) -> str:
    """Return a JWS without a signature: good enough for a broker that checks none."""
    now = int(time.time()) - age_s
    parts = [{"alg": "none"}, {"sub": subject, "iat": now, "exp": now + life_s}]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


@contextmanager
def token_endpoint() -> Iterator[TokenEndpoint]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = endpoint.reply(self.headers["Authorization"], body)
            self.send_response(status)
            for name, value in endpoint.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint = TokenEndpoint(f"http://127.0.0.1:{server.server_port}/token")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
