import pytest

from agents.secret_urls import holds_login, registry_url_problem


@pytest.mark.parametrize(
    "url",
    ["http://registry:8081", "https://registry", "https://anna:hush@registry", "http://anna:hush@127.0.0.1:8081"],
)
def test_a_registry_may_be_anywhere_but_its_password_stays_out_of_the_clear(url: str) -> None:
    assert registry_url_problem(url) is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("registry:8081", "got no URL, expected http://HOST or https://HOST"),
        ("ftp://registry", "got no URL"),
        ("http://registry:port", "got no URL"),
        ("http://anna:hush@registry", "got http://registry, expected https"),
        ("http://anna@registry", "got http://registry, expected https"),
    ],
)
def test_what_is_wrong_with_a_registry_is_said_without_its_password(url: str, said: str) -> None:
    problem = registry_url_problem(url)
    assert problem is not None
    assert said in problem
    assert "hush" not in problem


@pytest.mark.parametrize(("url", "holds"), [("https://a@b", True), ("https://a:b@c", True), ("https://b/a@c", False)])
def test_a_login_is_seen(url: str, holds: bool) -> None:
    assert holds_login(url) is holds
