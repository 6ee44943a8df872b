"""After a failed attempt: again, elsewhere, or give up (pure).

Only failures before the first byte to the client come here. What may follow depends on whose
fault the failure is:

    CLIENT      the request itself: nothing; any provider would say the same
    CREDENTIAL  refused: another credential, then another target; never the same again
    LIMIT       too many requests: another credential, a wait, another target
    PASSING     no connection, overload, a server error: the same after a pause, then another target
    SILENT      no answer in time: another target; the same only while there is time
    TARGET      this target cannot serve it at all: another target

See docs/reliability.md, "What follows a failed attempt".
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from gateway import patterns
from gateway.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimedOut,
    UpstreamUnreachable,
)

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 8.0
# Up to this length, waiting as the provider asks is worth more than the next target's cold cache.
SHORT_PAUSE: Final = 2.0
# Clients give up after some number of retries; a list of refused credentials must stay far below it.
MOST_ATTEMPTS: Final = 12

_PASSING: Final = frozenset({408, 424, 425, 498, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
_CREDENTIAL: Final = frozenset({401, 402, 403})
# statuses of a wrong address or an unknown model: the admin's mistake, not the client's
_TARGET: Final = frozenset({404, 405, 501, 505})
# a 403 about what a prompt says, and not about whose key it came with: the credential is good
_SCREENED: Final = patterns.compiled(
    r"moderation|flagged|content[ _]policy|safety system", patterns.IGNORECASE
)
_ACCOUNT: Final = patterns.compiled(
    r"\b(?:account|organi[sz]ation|team|api key|project)\b", patterns.IGNORECASE
)
_OVERFLOW: Final = ("prompt is too long", "input length and `max_tokens` exceed")


class Elsewhere(NamedTuple):
    """What else is available: another credential of the target that failed, another target."""

    credential: bool = False
    target: bool = False


class Fault(enum.Enum):
    """Whose fault a failed attempt is."""

    CLIENT = enum.auto()
    CREDENTIAL = enum.auto()
    LIMIT = enum.auto()
    PASSING = enum.auto()
    SILENT = enum.auto()
    TARGET = enum.auto()

    @property
    def may_pass(self) -> bool:
        """Whether a client that retries later has a chance."""
        return self in (Fault.LIMIT, Fault.PASSING, Fault.SILENT)


@dataclass(frozen=True, slots=True)
class Step:
    """What follows: `again` after `pause` seconds, at once with a changed option (`learnt`), another
    credential or target, or nothing.
    """

    kind: Literal["again", "learnt", "credential", "target", "gave_up"]
    pause: float = 0.0


GIVE_UP: Final = Step("gave_up")


def _about_the_prompt(message: str) -> bool:
    return _SCREENED.search(message) is not None and _ACCOUNT.search(message) is None


def fault_of(error: UpstreamError) -> Fault:
    """Whose fault it is. An error inside a 200 has no status of its own, only the one it was taken for."""
    if isinstance(error, UpstreamRefused) or is_overflow(error):
        return Fault.CLIENT
    if isinstance(error, UpstreamUnreachable):
        # asking again does not make a certificate valid
        return Fault.TARGET if error.should_retry is False else Fault.PASSING
    if isinstance(error, UpstreamTimedOut) and error.upstream_status is None:
        return Fault.SILENT
    if isinstance(error, UpstreamBroken):
        return Fault.TARGET
    if error.upstream_status in _TARGET:
        # some of these become a 400 for the client, who can do nothing about it
        return Fault.TARGET
    if error.status == 404:
        return Fault.TARGET  # some providers say 400 of a model that they do not have
    if error.status == 400 and error.upstream_status in _PASSING:
        return Fault.PASSING
    if error.status == 400 or (error.status == 403 and _about_the_prompt(error.message)):
        return Fault.CLIENT
    if error.upstream_status in _CREDENTIAL or error.status in _CREDENTIAL or _refused_inside(error):
        return Fault.CREDENTIAL
    if error.status == 429:
        return Fault.LIMIT
    if error.status == 529:
        # some providers report overload with a status that means something else
        return Fault.PASSING
    return _by_status(error.upstream_status or error.status)


def is_overflow(error: UpstreamError) -> bool:
    """Whether a client would shorten its conversation in response.

    See docs/conversion.md, "Context overflow".
    """
    return error.status == 400 and error.message.startswith(_OVERFLOW)


def _refused_inside(error: UpstreamError) -> bool:
    # a credential refused inside a 200, or with 400, was turned into a 502 that must not be repeated
    inside = error.upstream_status in (None, 400)
    return inside and error.status == 502 and error.should_retry is False


def _by_status(status: int) -> Fault:
    if status in _TARGET or 300 <= status < 400:
        return Fault.TARGET
    return Fault.PASSING if status in _PASSING or status >= 500 else Fault.CLIENT


def step_after(
    fault: Fault,
    *,
    asked_pause: float | None,
    tries: int,
    max_retries: int,
    time_left: float,
    elsewhere: Elsewhere,
    jitter: float,
    repeatable: bool = True,
) -> Step:
    """What follows a failure.

    `asked_pause`: seconds the provider wants to be left alone. `tries`: how often this target was
    tried, `max_retries` how often it may be tried again. `time_left`: seconds in which another
    attempt may begin. `jitter`: a number in 0..1. `repeatable`: False when the provider said not to
    repeat the request.
    """
    if fault is Fault.CLIENT or time_left <= 0:
        return GIVE_UP
    if elsewhere.credential and fault in (Fault.CREDENTIAL, Fault.LIMIT):
        return Step("credential")
    if fault is Fault.CREDENTIAL:
        return Step("target") if elsewhere.target else GIVE_UP
    # the credential did not fail, so another one for the same target does not help
    pause = pause_before(asked_pause, tries, jitter)
    same = fault is not Fault.TARGET and repeatable and tries <= max_retries and pause < time_left
    if elsewhere.target and (fault is Fault.SILENT or pause > max(SHORT_PAUSE, _own_pause(tries))):
        same = False
    if same:
        return Step("again", pause)
    return Step("target") if elsewhere.target else GIVE_UP


def pause_before(asked_pause: float | None, tries: int, jitter: float) -> float:
    """Seconds before the next attempt: what the provider asks for, or a doubling pause, with jitter."""
    if asked_pause is not None:
        # clients told the same time must not all return at the same moment
        return asked_pause + jitter * min(1.0, asked_pause / 10)
    return _own_pause(tries) * (0.5 + jitter / 2)


def _own_pause(tries: int) -> float:
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (tries - 1))
