"""Which models stay in memory: never more than the bound, and the last used before all others."""

from hypothesis import given
from hypothesis import strategies as st

from agents.keeping import Held, ranked, surplus, total_bytes
from agents.standing import Standing
from tests.agents.deployed import deployment, parked, reference, refused, standing

A, B, C = ("loans", "a"), ("loans", "b"), ("loans", "c")


def alone(digest: str, n_bytes: int = 100) -> Held:
    return Held(digest, 0, f"encoder of {digest}", n_bytes)


def head(digest: str, encoder: str = "shared", own: int = 1, n_bytes: int = 100) -> Held:
    return Held(digest, own, encoder, n_bytes)


def test_a_shared_encoder_counts_once() -> None:
    assert total_bytes([head("a"), head("b"), alone("c")]) == 202
    assert total_bytes([]) == 0


def test_nothing_goes_while_all_fits() -> None:
    assert surplus([alone("a"), alone("b")], most_bytes=200, pinned=()) == []


def test_the_least_dear_goes_first() -> None:
    assert surplus([alone("a"), alone("b"), alone("c")], most_bytes=299, pinned=()) == ["c"]
    assert surplus([alone("a"), alone("b"), alone("c")], most_bytes=199, pinned=()) == ["b", "c"]


def test_a_model_that_is_larger_than_the_bound_stays_alone() -> None:
    assert surplus([alone("a", 500), alone("b", 1)], most_bytes=100, pinned=()) == ["b"]


def test_what_is_pinned_stays_before_all_others() -> None:
    assert surplus([alone("a"), alone("b"), alone("c")], most_bytes=200, pinned={"c"}) == ["b"]
    assert surplus([alone("a"), alone("b"), alone("c")], most_bytes=100, pinned={"b", "c"}) == ["a"]


def test_heads_whose_encoder_stays_do_not_go_in_vain() -> None:
    models = [head("a1"), alone("b"), head("a2"), head("a3")]
    assert surplus(models, most_bytes=103, pinned=()) == ["b"]


def test_heads_go_when_they_alone_are_too_much() -> None:
    models = [head(f"a{i}", own=10) for i in range(10)]
    assert surplus(models, most_bytes=150, pinned=()) == ["a5", "a6", "a7", "a8", "a9"]


models = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 3), st.booleans()), min_size=1, max_size=12
).map(
    lambda rows: [
        (Held(f"d{i}", own, f"e{encoder}", 40 * encoder), pinned) for i, (own, encoder, pinned) in enumerate(rows)
    ]
)  # fmt: skip


@given(models, st.integers(0, 400))
def test_what_stays_fits_or_had_to_stay(rows: list[tuple[Held, bool]], most_bytes: int) -> None:
    held = [model for model, _ in rows]
    pinned = {model.digest for model, must in rows if must}
    goes = surplus(held, most_bytes=most_bytes, pinned=pinned)
    stays = [model for model in held if model.digest not in goes]
    assert not pinned & set(goes)
    assert total_bytes(stays) <= most_bytes or {model.digest for model in stays} == (pinned or {held[0].digest})


@given(models, st.integers(0, 400))
def test_a_model_goes_only_if_it_does_not_fit_beside_dearer_ones(
    rows: list[tuple[Held, bool]], most_bytes: int
) -> None:
    held = [model for model, _ in rows]
    pinned = {model.digest for model, must in rows if must}
    goes = set(surplus(held, most_bytes=most_bytes, pinned=pinned))
    pinned = pinned or {held[0].digest}
    for place, model in enumerate(held):
        dearer = [
            other
            for rank, other in enumerate(held)
            if other.digest not in goes and (rank < place or other.digest in pinned)
        ]
        assert (model.digest in goes) == (model.digest not in pinned and total_bytes([*dearer, model]) > most_bytes)


def test_the_last_used_is_the_dearest() -> None:
    standings = {key: standing(deployment(key[1], name=key[1])) for key in (A, B, C)}
    assert ranked(standings, {A: 1, C: 2, B: 3}) == ["b", "c", "a"]


def test_of_those_never_used_the_last_deployed_is_the_dearest() -> None:
    standings = {
        A: standing(deployment("a", name="a", minute=1)),
        B: standing(deployment("b", name="b", minute=2)),
        C: standing(deployment("c", name="c", minute=0)),
    }
    assert ranked(standings, {C: 0}) == ["c", "b", "a"]


def test_what_a_deployment_could_roll_back_to_comes_after_all_that_serve() -> None:
    standings = {
        A: standing(deployment("a2", name="a", previous="a1", minute=1)),
        B: standing(deployment("b2", name="b", previous="b1", minute=2)),
        C: parked(deployment("c", name="c", previous="b1")),
    }
    assert ranked(standings, {A: 5}) == ["a2", "b2", "c", "b1", "a1"]


def test_a_model_of_two_deployments_is_as_dear_as_the_dearer() -> None:
    standings = {A: standing(deployment("x", name="a")), B: standing(deployment("y", name="b", previous="x"))}
    standings[C] = standing(deployment("x", name="c"))
    assert ranked(standings, {A: 1, B: 2, C: 3}) == ["x", "y"]


def test_an_older_model_that_serves_counts_and_a_refused_one_does_not() -> None:
    older = Standing(deployment("bad", name="a", previous="old"), reference("old"), "model")
    assert ranked({A: older, B: refused(deployment("worse", name="b"))}, {}) == ["old"]
