"""Which models stay in memory. Pure: how dear each is to us, and a bound, to those that have to go."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from agents.serving import Key
from agents.standing import Standing, Standings

_NEVER = -1


@dataclass(frozen=True, slots=True)
class Held:
    """A model in memory, and what it takes there.

    Attributes:
        digest: The model's digest.
        own_bytes: What nobody shares.
        encoder: Which encoder it has; models of the same one share its memory.
        encoder_bytes: What the encoder takes.
    """

    digest: str
    own_bytes: int
    encoder: str
    encoder_bytes: int


def total_bytes(held: Iterable[Held]) -> int:
    """Return what models take together; an encoder that they share counts once."""
    models = list(held)
    encoders = {model.encoder: model.encoder_bytes for model in models}
    return sum(model.own_bytes for model in models) + sum(encoders.values())


def ranked(standings: Standings, uses: Mapping[Key, int]) -> list[str]:
    """Return the digests of models that are worth their memory, the dearest first.

    Those that deployments serve come first, the last used before all others, and of those never used the last deployed;
    then those that deployments could roll back to. A model that is in neither part is of no use.

    Args:
        standings: Where we stand.
        uses: When documents last asked for a deployment, as numbers that grow.
    """
    served: dict[str, tuple[int, datetime]] = {}
    for key, standing in standings.items():
        if standing.serves is not None:
            rank = uses.get(key, _NEVER), standing.record.deployed_at
            served[standing.serves.digest] = max(rank, served.get(standing.serves.digest, rank))
    spare = _spare(standings.values())
    return list(dict.fromkeys([*sorted(served, key=served.__getitem__, reverse=True), *spare]))


def _spare(standings: Iterable[Standing]) -> list[str]:
    newest_first = sorted(standings, key=lambda standing: standing.record.deployed_at, reverse=True)
    return [standing.record.previous.digest for standing in newest_first if standing.record.previous]


def surplus(held: Sequence[Held], *, most_bytes: int, pinned: Collection[str]) -> list[str]:
    """Return the digests of the models to unload, so that the rest fits.

    Goes from the dearest to the least dear and keeps what fits beside what is kept already. So a model goes only if it
    does not fit beside dearer ones; and a head on an encoder that stays anyway goes only for the sake of its own bytes.
    What is pinned stays in any case; if nothing is, the dearest does, which may be larger than the bound.

    Args:
        held: The models in memory, the dearest first.
        most_bytes: The bound.
        pinned: Digests of models that must stay.
    """
    certain = [model for model in held if model.digest in pinned] or held[:1]
    stays = {model.digest for model in certain}
    encoders = {model.encoder for model in certain}
    room = most_bytes - total_bytes(certain)
    goes: list[str] = []
    for model in held:
        if model.digest in stays:
            continue
        needed = model.own_bytes + (0 if model.encoder in encoders else model.encoder_bytes)
        if needed > room:
            goes.append(model.digest)
        else:
            room -= needed
            encoders.add(model.encoder)
    return goes
