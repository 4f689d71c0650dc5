import pytest

from agents.login import login_problem

ANNA = {"sasl_username", "sasl_password"}
TOKENS = {"sasl_oauth_token_url", "sasl_oauth_client_id", "sasl_oauth_client_secret"}
CERTIFICATE = {"ssl_certfile", "ssl_keyfile", "ssl_password"}


@pytest.mark.parametrize(
    ("given", "protocol", "mechanism"),
    [
        (set(), "PLAINTEXT", "PLAIN"),
        (set(), "SSL", "PLAIN"),
        ({"ssl_cafile"} | CERTIFICATE, "SSL", "PLAIN"),
        (ANNA, "SASL_PLAINTEXT", "PLAIN"),
        (ANNA | {"ssl_cafile", "sasl_mechanism"} | CERTIFICATE, "SASL_SSL", "SCRAM-SHA-512"),
        (TOKENS | {"sasl_oauth_scope", "ssl_cafile", "sasl_mechanism"}, "SASL_SSL", "OAUTHBEARER"),
        (TOKENS | {"ssl_cafile", "sasl_mechanism"}, "SASL_PLAINTEXT", "OAUTHBEARER"),
        ({"brokers", "security_protocol", "window_tokens"}, "SSL", "PLAIN"),
    ],
)
def test_what_is_whole_and_used_is_right(given: set[str], protocol: str, mechanism: str) -> None:
    assert login_problem(given, protocol=protocol, mechanism=mechanism) is None


@pytest.mark.parametrize(
    ("given", "protocol", "mechanism", "said"),
    [
        ({"ssl_keyfile"}, "SSL", "PLAIN", "ssl_keyfile needs ssl_certfile"),
        ({"ssl_password"}, "SSL", "PLAIN", "ssl_password needs ssl_certfile"),
        (set(), "SASL_SSL", "PLAIN", "security_protocol SASL_SSL needs sasl_username and sasl_password"),
        ({"sasl_username"}, "SASL_SSL", "SCRAM-SHA-256", "security_protocol SASL_SSL needs sasl_password"),
        (ANNA, "SASL_SSL", "OAUTHBEARER", "sasl_mechanism OAUTHBEARER needs sasl_oauth_token_url and"),
        (ANNA, "PLAINTEXT", "PLAIN", "got sasl_password and sasl_username, but security_protocol PLAINTEXT logs"),
        (ANNA, "SSL", "PLAIN", "got sasl_password and sasl_username, but security_protocol SSL logs nobody in"),
        ({"sasl_mechanism"}, "SSL", "SCRAM-SHA-512", "got sasl_mechanism, but security_protocol SSL logs nobody in"),
        ({"ssl_cafile"}, "PLAINTEXT", "PLAIN", "got ssl_cafile, but security_protocol PLAINTEXT encrypts nothing"),
        (ANNA | {"ssl_cafile"}, "SASL_PLAINTEXT", "PLAIN", "SASL_PLAINTEXT encrypts nothing: expected SSL or SASL_SSL"),
        (TOKENS | CERTIFICATE, "SASL_PLAINTEXT", "OAUTHBEARER", "encrypts nothing"),
        (ANNA | {"sasl_oauth_scope"}, "SASL_SSL", "PLAIN", "got sasl_oauth_scope, but sasl_mechanism PLAIN asks"),
        (TOKENS | ANNA, "SASL_SSL", "OAUTHBEARER", "got sasl_username and sasl_password, but sasl_mechanism OAUTH"),
    ],
)
def test_what_is_missing_or_would_do_nothing_is_named(
    given: set[str], protocol: str, mechanism: str, said: str
) -> None:
    problem = login_problem(given, protocol=protocol, mechanism=mechanism)
    assert problem is not None
    assert said in problem
