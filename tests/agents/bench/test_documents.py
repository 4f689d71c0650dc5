import numpy as np

from agents.bench.documents import MAX_TOKENS, mixed, tickets
from models.encoder import find_encoder
from models.tokenization import Tokenizer


def test_same_seed_gives_same_documents_and_another_seed_others() -> None:
    assert mixed(120, seed=1) == mixed(120, seed=1)
    assert not {each.text for each in mixed(120, seed=1)} & {each.text for each in mixed(120, seed=2)}


def test_fewer_documents_are_the_first_of_more() -> None:
    assert mixed(150, seed=1)[:70] == mixed(70, seed=1)


def test_mixed_lengths_are_log_normal_with_a_long_tail() -> None:
    lengths = np.array([each.n_tokens for each in mixed(1000, seed=1)])
    assert 100 < lengths.mean() < 114
    assert 74 < np.percentile(lengths, 50) < 84
    assert 270 < np.percentile(lengths, 95) < 305
    assert lengths.max() <= MAX_TOKENS


def test_tickets_are_short() -> None:
    lengths = np.array([each.n_tokens for each in tickets(500, seed=1)])
    assert 18 < lengths.mean() < 22
    assert lengths.max() <= 70


def test_no_two_documents_are_alike() -> None:
    for documents in (mixed(1000, seed=1), tickets(1000, seed=1)):
        assert len({each.text for each in documents}) == len({each.id for each in documents}) == 1000


def test_counted_tokens_are_those_of_the_tokenizer() -> None:
    documents = mixed(50, seed=4)
    tokens = Tokenizer.from_file(find_encoder().tokenizer).encode([each.text for each in documents])
    assert [each.n_tokens for each in documents] == [len(each) for each in tokens]
