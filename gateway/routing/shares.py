"""Shares: which of a mapping's arms a session is given, by its identity alone.

An arm is a target of a mapping. A session's arm follows from a hash of its identity, the mapping's salt and
the arm's name, so that every process gives it the same one, also after a restart, and nothing is stored.

The hash gives each arm an exponential waiting time at the rate of its weight, and the shortest one wins
(weighted rendezvous hashing). An arm wins exactly its share of the sessions. When the weight of one arm
grows, only sessions that come to this arm move; when one is taken out, only its own sessions do.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from math import inf, log
from typing import Any, Final, NamedTuple

from gateway.client_protocol.purpose import SESSION

# of metadata.user_id and of the first message: bounds what a client's own text can cost (characters)
LONGEST_USER_ID: Final = 1_000
LONGEST_OPENING: Final = 2_000
_SESSION_OF_USER: Final = "_session_"
_STEPS: Final = 2**52
_ALL: Final = 2**64 - 1


class Arm(NamedTuple):
    """The arm of a session: its name, its share of the sessions (0 to 1), and where the session was before.

    `moved_from`: the arm that it had before the last step of a ramp; "" if it had this one.
    """

    name: str
    share: float
    moved_from: str = ""


@dataclass(frozen=True, slots=True)
class Weighting:
    """Weights from `since` (Unix seconds) until the next ones; positive, not necessarily of sum 1.

    `before`: the weights until then, if a step of a ramp changed them; `step`: the share of the new arm
    by which the step is called (0 to 1).
    """

    since: float
    weights: Mapping[str, float]
    before: Mapping[str, float] | None = None
    step: float = 0.0


@dataclass(frozen=True, slots=True)
class Shares:
    """How a mapping divides its sessions among its arms, now and from the next change on.

    `weightings` in the order of their times, at least one; the first is in force whatever the time.
    """

    salt: str
    weightings: tuple[Weighting, ...]
    _key: bytes = field(init=False, repr=False, compare=False)
    _arms: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = {name for one in self.weightings for name in (*one.weights, *(one.before or ()))}
        object.__setattr__(self, "_key", self.salt.encode()[:64])
        object.__setattr__(self, "_arms", {name: _hashed(name.encode()) for name in names})

    def at(self, now: float) -> Weighting:
        """The weights in force at `now` (Unix seconds)."""
        found = self.weightings[0]
        for later in self.weightings[1:]:
            if later.since > now:
                break
            found = later
        return found

    def arm(self, identity: bytes, now: float, usable: Collection[str]) -> Arm | None:
        """The arm of a session among those that are `usable`; None if none of them has a weight."""
        weighting, point = self.at(now), _hashed(identity, self._key)
        name = self._winner(weighting.weights, point, usable)
        if name is None:
            return None
        share = weighting.weights[name] / sum(
            weight for one, weight in weighting.weights.items() if one in usable
        )
        earlier = self._winner(weighting.before, point, usable) if weighting.before else None
        return Arm(name, share, "" if earlier in (None, name) else str(earlier))

    def _winner(self, weights: Mapping[str, float], point: int, usable: Collection[str]) -> str | None:
        best, shortest = None, inf
        for name, weight in weights.items():
            if name in usable:
                wait = _wait(point ^ self._arms[name]) / weight
                if wait < shortest:
                    best, shortest = name, wait
        return best


def shares_of(weights: Mapping[str, float]) -> dict[str, float]:
    """The share of each arm (0 to 1) by its weight."""
    whole = sum(weights.values())
    return {name: weight / whole for name, weight in weights.items()}


def with_share(others: Mapping[str, float], arm: str, share: float) -> dict[str, float]:
    """Weights that give `arm` a share (0 to 1) and leave the rest to `others`, in proportion.

    An arm that gets nothing has no entry.
    """
    rest = shares_of({name: weight for name, weight in others.items() if name != arm})
    wanted = {**{name: value * (1 - share) for name, value in rest.items()}, arm: share}
    return {name: weight for name, weight in wanted.items() if weight > 0}


def weights_of(targets: Iterable[tuple[str, float | None]]) -> dict[str, float]:
    """The weights of arms by name, from (name, weight); two targets of one name are one arm."""
    weights: dict[str, float] = {}
    for name, weight in targets:
        if weight:
            weights[name] = weights.get(name, 0.0) + weight
    return weights


def identity_of(headers: Mapping[str, str], request: Mapping[str, object], owner: str) -> bytes:
    """What stays the same for all requests of a session, its subagents' among them.

    That is the session's id from the client's header or metadata; without one, the `owner` and the beginning
    of the first message. `headers` have lower-case names; the request need not be legal. Never raises.
    """
    session = headers.get(SESSION) or _session_of_metadata(request.get("metadata"))
    if session:
        return session.encode("utf-8", "surrogatepass")
    opening = f"{owner}\n{_opening(request)}"
    return sha256(opening.encode("utf-8", "surrogatepass")).digest()


def _hashed(text: bytes, key: bytes = b"") -> int:
    """64 bits."""
    return int.from_bytes(blake2b(text, digest_size=8, key=key).digest())


def _wait(bits: int) -> float:
    """An exponentially distributed number at the rate 1, from 64 bits of a session and of an arm.

    The bits are mixed by the finalizer of SplitMix64: one hash serves all arms of a session.
    """
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & _ALL
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & _ALL
    # the middle of one of 2**52 equal parts: never 0 or 1
    return -log((((bits ^ bits >> 31) >> 12) + 0.5) / _STEPS)


def _session_of_metadata(metadata: Any) -> str:
    user = metadata.get("user_id") if type(metadata) is dict else None
    if type(user) is not str or len(user) > LONGEST_USER_ID:
        return ""
    if user.startswith("{"):
        try:
            told = json.loads(user)
        except (ValueError, RecursionError):
            return ""
        session = told.get("session_id") if type(told) is dict else None
        return session if type(session) is str else ""
    _, found, session = user.rpartition(_SESSION_OF_USER)
    return session if found else ""


def _opening(request: Mapping[str, object]) -> str:
    messages = request.get("messages")
    first = messages[0] if type(messages) is list and messages else None
    content = first.get("content") if type(first) is dict else None
    if type(content) is str:
        return content[:LONGEST_OPENING]
    found, length = [], 0
    for block in content if type(content) is list else ():
        text = block.get("text") if type(block) is dict else None
        if type(text) is str and length < LONGEST_OPENING:
            found.append(text[: LONGEST_OPENING - length])
            length += len(found[-1])
    return "\n".join(found)
