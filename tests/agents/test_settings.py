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
        ({"ssl_keyfile": "key.pem"}, "^ssl_keyfile needs ssl_certfile"),
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


def test_default_tasks_may_be_for_one_topic(tmp_path: Path) -> None:
    settings = load_settings({"default_tasks": "loans/production,orders=tickets/live"}, file=tmp_path / "none.toml")
    loans, tickets = Task(project="loans", deployment="production"), Task(project="tickets", deployment="live")
    assert settings.tasks_of("orders") == (loans, tickets)
    assert settings.tasks_of("lexstream.documents") == (loans,)


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
