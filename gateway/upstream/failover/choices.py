"""Where one exchange may still go: its targets and credentials, best first (pure, the time is given).

Free targets come first, in their order; within a target the session's own credential is first.
With nothing free, a limit that ends soon is waited for; then a target that is cooling is tried;
and when nothing has been tried yet, whatever is left, so that no request ends without an attempt:
the limit that ends first, then the credential that was refused longest ago.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from gateway.routing.resolve import Route
from gateway.routing.snapshot import Credential
from gateway.upstream.failover.attempts import Elsewhere
from gateway.upstream.failover.health import FREE, Health, Kind, TargetHealth
from gateway.upstream.failover.session_affinity import in_order
from gateway.values import frozen


@frozen
class AttemptChoice:
    """A target and a credential for the next attempt. `wait`: seconds before it may begin."""

    index: int
    route: Route
    credential: Credential | None
    standing: TargetHealth = FREE
    wait: float = 0.0


class Choices:
    """The choices of one exchange; `routes` in order, `session` keeps a conversation where it was."""

    def __init__(self, routes: Sequence[Route], session: str, health: Health) -> None:
        self._routes = list(routes)
        self._session = session
        self._health = health
        self._spent: set[tuple[int, int | None]] = set()
        self._spent_targets: set[int] = set()

    def next(self, now: float, time_left: float) -> AttemptChoice | None:
        """The best choice that was not given up; never None before one was."""
        aside: list[tuple[int, float, AttemptChoice]] = []
        untried = not (self._spent or self._spent_targets)
        for choice in self._all(now):
            standing = choice.standing
            if standing.kind is Kind.FREE:
                return choice
            until = now if standing.until is None else standing.until
            if standing.kind is Kind.LIMITED:
                if until - now < time_left:
                    waiting = AttemptChoice(
                        choice.index, choice.route, choice.credential, standing, until - now
                    )
                    aside.append((0, until, waiting))
                elif untried:
                    aside.append((2, until, choice))
            elif standing.kind is Kind.COOLING:
                aside.append((1, until, choice))
            elif untried:
                aside.append((3, standing.since, choice))
        return min(aside, key=lambda entry: entry[:2])[2] if aside else None

    def elsewhere(self, failed: AttemptChoice, now: float) -> Elsewhere:
        """What else is available besides a choice that failed."""
        credential = target = False
        for choice in self._all(now):
            if choice.index != failed.index:
                target = target or choice.standing.kind in (Kind.FREE, Kind.COOLING)
            elif choice.credential != failed.credential:
                credential = credential or choice.standing.kind is Kind.FREE
        return Elsewhere(credential, target)

    def give_up_credential(self, choice: AttemptChoice) -> None:
        """Do not choose this credential at this target again."""
        self._spent.add((choice.index, choice.credential.id if choice.credential else None))

    def give_up_target(self, choice: AttemptChoice) -> None:
        """Do not choose this target again."""
        self._spent_targets.add(choice.index)

    def teach(self, choice: AttemptChoice, route: Route) -> AttemptChoice:
        """From now on ask the choice's target as this route says."""
        self._routes[choice.index] = route
        return dataclasses.replace(choice, route=route)

    @property
    def alone(self) -> bool:
        """Whether there is no other target."""
        return len(self._routes) == 1

    def _all(self, now: float) -> Iterator[AttemptChoice]:
        """Everything not given up, in order."""
        for index, route in enumerate(self._routes):
            if index in self._spent_targets:
                continue
            credentials: Sequence[Credential | None] = route.provider.credentials or (None,)
            if route.provider.credentials:
                credentials = in_order(route.provider.credentials, self._session)
            for credential in credentials:
                if self._spent and (index, credential.id if credential else None) in self._spent:
                    continue
                yield AttemptChoice(index, route, credential, self._health.standing(route, credential, now))
