"""Health: which targets and credentials are set aside in this process, judged by its own attempts.

A value with methods; no clock and no waiting: `now` is Unix seconds, given by the caller. When the clock is
set back, everything remembered moves back with it, so that nothing is set aside for longer. Three things
can be wrong, each with its own way back:

    refused   a credential got a 401, 402 or 403. The record tells all processes;
              an admin or a success brings it back.
    limited   a credential got a 429 at a target. Back when the time is over.
    cooling   a target failed several times in a row. After the cooling time one request
              probes it: a success brings it back, a failure doubles the time.

Being set aside is advice, not a wall: the relay asks for the best choice there is.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from gateway.errors import UpstreamError
from gateway.routing.health_events import Change
from gateway.routing.resolve import Route
from gateway.routing.snapshot import Credential
from gateway.upstream.failover.attempts import Fault

FAILURES_TO_COOL: Final = 3
FIRST_COOLING: Final = 5.0
LONGEST_COOLING: Final = 300.0
# After this long, a pending probe no longer keeps other requests from probing.
PROBE_PATIENCE: Final = 60.0
# How long a refusal is remembered here until its record comes back through the configuration.
OWN_WORD: Final = 5.0
# The pause after a 429 that names no time; doubled with each one in a row.
FIRST_LIMIT: Final = 1.0
LONGEST_LIMIT: Final = 60.0
# A cap on what a provider asks for: a mistake in one answer must not set a target aside for years.
LONGEST_ASKED: Final = 3600.0
# More than any admin configures; clients can make up names that are sent on unchanged.
MOST_TARGETS: Final = 1000
# Limits that end before an admin could look are not recorded.
WORTH_A_RECORD: Final = 10.0


class Kind(enum.IntEnum):
    """The state of a choice; lower is better."""

    FREE = 0
    LIMITED = 1
    COOLING = 2
    REFUSED = 3


class TargetKey(NamedTuple):
    """A target as health knows it; the same model at another address is another target."""

    provider: str
    base_url: str
    upstream_model: str


class TargetHealth(NamedTuple):
    """The state of a target with a credential: since and until when, and why. Times are Unix seconds."""

    kind: Kind
    since: float = 0.0
    until: float | None = None
    status: int | None = None
    reason: str = ""


FREE: Final = TargetHealth(Kind.FREE)


@dataclass(slots=True)
class _Target:
    brought_back: float
    failures: int = 0
    since: float | None = None
    cooling: float = 0.0
    until: float = 0.0
    status: int | None = None
    reason: str = ""
    probing_since: float | None = None


@dataclass(slots=True)
class _Limit:
    brought_back: float
    since: float
    until: float
    strikes: int
    status: int | None
    reason: str
    recorded: bool


@dataclass(slots=True)
class _Refusal:
    brought_back: float
    since: float
    status: int | None
    reason: str


Place = TypeVar("Place")
Entry = TypeVar("Entry", _Target, _Limit)


def key_of(route: Route) -> TargetKey:
    return TargetKey(route.provider.slug, route.provider.base_url, route.upstream_model)


class Health:
    """Ask `standing`; report `begins` and then one of `succeeded`, `failed` or `left` for each attempt.

    `on_change` hears what an admin should see; it must not block.
    """

    def __init__(self, on_change: Callable[[Change], None] | None = None) -> None:
        self._on_change = on_change
        self._targets: dict[TargetKey, _Target] = {}
        self._limits: dict[tuple[TargetKey, int | None], _Limit] = {}
        self._refusals: dict[int, _Refusal] = {}
        self._latest = 0.0

    def standing(self, route: Route, credential: Credential | None, now: float) -> TargetHealth:
        """The state of this choice now: the worst of what is wrong with it."""
        self._follow(now)
        refused = self._refused(route, credential, now) if credential is not None else None
        if refused is not None:
            return refused
        if not self._targets and not self._limits:
            return FREE
        key = key_of(route)
        target = self._targets.get(key)
        if target is not None and target.since is not None and not _forgiven(target, route):
            cooling = self._cooling(target, now)
            if cooling.kind is not Kind.FREE:
                return cooling
        limit = self._limits.get((key, credential.id if credential else None))
        if limit is not None and limit.until > now and not _forgiven(limit, route):
            return TargetHealth(Kind.LIMITED, limit.since, limit.until, limit.status, limit.reason)
        return FREE

    def begins(self, route: Route, now: float) -> None:
        """An attempt starts; at a target whose cooling time is over it is the probe."""
        self._follow(now)
        target = self._targets.get(key_of(route))
        if target is not None and target.since is not None and target.until <= now:
            target.probing_since = now

    def left(self, route: Route) -> None:
        """An attempt ended without a verdict: the client went away."""
        target = self._targets.get(key_of(route))
        if target is not None:
            target.probing_since = None

    def succeeded(self, route: Route, credential: Credential | None) -> None:
        """The target answered, and the credential was accepted."""
        if self._targets or self._limits:
            key = key_of(route)
            target = self._targets.pop(key, None)
            if target is not None and target.since is not None:
                self._tell(_change(key, None))
            limit = self._limits.pop((key, credential.id if credential else None), None)
            if limit is not None and limit.recorded:
                self._tell(_change(key, credential))
        if credential is not None:
            refusal = self._refusals.pop(credential.id, None)
            if refusal is not None or credential.set_aside is not None:
                self._tell(_change(key_of(route), credential, refused=True))

    def failed(
        self, route: Route, credential: Credential | None, fault: Fault, error: UpstreamError, now: float
    ) -> None:
        """An attempt failed; remember what that says about target and credential."""
        self._follow(now)
        if fault is Fault.CLIENT:
            # the provider answered and accepted the credential
            self.succeeded(route, credential)
        elif fault is Fault.CREDENTIAL and credential is not None:
            self._refuse(route, credential, error, now)
        elif fault is Fault.LIMIT:
            self._limit(route, credential, error, now)
        else:
            self._fail(route, error, now)

    # --- refused ------------------------------------------------------------------

    def _refused(self, route: Route, credential: Credential, now: float) -> TargetHealth | None:
        record = credential.set_aside
        if record is not None and (record.until is None or record.until > now):
            # from here on the record decides, also when it says that the credential is back
            self._refusals.pop(credential.id, None)
            return TargetHealth(Kind.REFUSED, record.since, record.until, record.status, record.reason)
        own = self._refusals.get(credential.id)
        if own is None:
            return None
        if now - own.since > OWN_WORD or _forgiven(own, route):
            # the record would say so by now, unless somebody has brought the credential back
            del self._refusals[credential.id]
            return None
        return TargetHealth(Kind.REFUSED, own.since, None, own.status, own.reason)

    def _refuse(self, route: Route, credential: Credential, error: UpstreamError, now: float) -> None:
        status = error.upstream_status or error.status
        known = credential.set_aside is not None or credential.id in self._refusals
        self._refusals[credential.id] = _Refusal(_brought_back(route), now, status, error.message)
        self.left(route)
        if not known:
            self._tell(
                _change(
                    key_of(route), credential, since=now, status=status, reason=error.message, refused=True
                )
            )

    # --- limited ------------------------------------------------------------------

    def _limit(self, route: Route, credential: Credential | None, error: UpstreamError, now: float) -> None:
        key = key_of(route)
        place = (key, credential.id if credential else None)
        before = self._limits.get(place)
        strikes = before.strikes + 1 if before is not None else 1
        own = min(LONGEST_LIMIT, FIRST_LIMIT * 2.0 ** min(strikes - 1, 10))
        seconds = float(min(error.retry_after, LONGEST_ASKED)) if error.retry_after else own
        status = error.upstream_status or error.status
        recorded = seconds >= WORTH_A_RECORD
        if before is None:
            self._limits = _with_room(self._limits, now)
        self._limits[place] = _Limit(
            _brought_back(route), now, now + seconds, strikes, status, error.message, recorded
        )
        self.left(route)
        if recorded:
            self._tell(
                _change(key, credential, since=now, until=now + seconds, status=status, reason=error.message)
            )

    # --- cooling ------------------------------------------------------------------

    def _cooling(self, target: _Target, now: float) -> TargetHealth:
        probed = target.probing_since is not None and now - target.probing_since < PROBE_PATIENCE
        if target.until <= now and not probed:
            return FREE
        return TargetHealth(Kind.COOLING, target.since or 0.0, target.until, target.status, target.reason)

    def _fail(self, route: Route, error: UpstreamError, now: float) -> None:
        key = key_of(route)
        if key not in self._targets:
            self._targets = _with_room(self._targets, now)
        target = self._targets.get(key)
        if target is None or _forgiven(target, route):
            target = self._targets[key] = _Target(_brought_back(route))
        target.failures += 1
        target.status, target.reason = error.upstream_status, error.message
        target.probing_since = None
        if target.failures < FAILURES_TO_COOL or target.until > now:
            # failures of attempts that began before it was set aside do not extend its time
            return
        target.since = now if target.since is None else target.since
        target.cooling = min(LONGEST_COOLING, target.cooling * 2) if target.cooling else FIRST_COOLING
        asked = min(float(error.retry_after or 0), LONGEST_COOLING)
        target.until = now + max(target.cooling, asked)
        self._tell(
            Change(
                key.provider,
                key.upstream_model,
                since=target.since,
                until=target.until,
                status=target.status,
                reason=target.reason,
                failures=target.failures,
            )
        )

    def _follow(self, now: float) -> None:
        """Move everything back when the clock was set back."""
        back, self._latest = self._latest - now, now
        if back <= 0:
            return
        for target in self._targets.values():
            target.until -= back
            target.since = None if target.since is None else target.since - back
            target.probing_since = None if target.probing_since is None else target.probing_since - back
        for limit in self._limits.values():
            limit.since, limit.until = limit.since - back, limit.until - back
        for refusal in self._refusals.values():
            refusal.since -= back

    def _tell(self, change: Change) -> None:
        if self._on_change is not None:
            self._on_change(change)


def _with_room(known: dict[Place, Entry], now: float) -> dict[Place, Entry]:
    """`known` with room for one more, since clients can make up model names.

    Forgets what is not set aside now; if that is little, the older half goes as well, so that the next look
    is many failures away.
    """
    if len(known) < MOST_TARGETS:
        return known
    kept = [(place, entry) for place, entry in known.items() if entry.until > now]
    return dict(kept[-(MOST_TARGETS // 2) :])


def _brought_back(route: Route) -> float:
    """When an admin last brought the provider back; 0: never."""
    return route.provider.brought_back or 0.0


def _forgiven(entry: _Target | _Limit | _Refusal, route: Route) -> bool:
    """Whether an admin has brought the provider back since the first failure of this entry.

    What was known then is compared, and not the time of the failure: clocks may be set back.
    """
    return _brought_back(route) > entry.brought_back


def _change(
    key: TargetKey,
    credential: Credential | None,
    *,
    since: float | None = None,
    until: float | None = None,
    status: int | None = None,
    reason: str = "",
    refused: bool = False,
) -> Change:
    return Change(
        key.provider,
        key.upstream_model,
        credential.id if credential else None,
        credential.label if credential else "",
        since=since,
        until=until,
        status=status,
        reason=reason,
        refused=refused,
    )
