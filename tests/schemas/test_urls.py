import pytest

from schemas.urls import without_login


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket/models", "s3://bucket/models"),
        ("ftp://anna:hush@host/models", "ftp://******@host/models"),
        ("simplecache::s3://key@bucket", "simplecache::s3://******@bucket"),
        ("file:///home/anna@work/store", "file:///home/anna@work/store"),
    ],
)
def test_a_login_in_a_url_is_not_shown(url: str, shown: str) -> None:
    assert without_login(url) == shown
