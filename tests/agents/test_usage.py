"""What was used last, and what is promised."""

from agents.usage import Usage

A, B = ("loans", "a"), ("loans", "b")


def test_what_was_used_later_has_a_greater_number() -> None:
    usage = Usage()
    usage.note([A, B])
    usage.touch(A)
    assert usage.last()[A] > usage.last()[B]
    usage.promise([B], until=0)
    assert usage.last()[B] > usage.last()[A]


def test_a_promise_holds_until_it_is_kept() -> None:
    usage = Usage()
    usage.promise([A, B], until=10)
    assert usage.note([A])
    assert not usage.note([A])
    assert usage.promised(9) == {B}


def test_a_promise_holds_until_its_time() -> None:
    usage = Usage()
    usage.promise([A], until=10)
    assert usage.promised(10) == set()


def test_a_deployment_that_is_no_more_is_forgotten() -> None:
    usage = Usage()
    usage.promise([A], until=10)
    usage.forget(A)
    assert usage.last() == {}
    assert usage.promised(0) == set()
