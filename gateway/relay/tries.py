"""The tries of one exchange: target after target, until one answers or nothing is left.

Up to the commit point, upstream/failover/attempts.py decides what follows a failure: the same again
after a pause, another credential, another target. A next target means a new conversion, because it has
its own profile. The ledger, the request and the raw answer of the exchange are those of the last
attempt.

    choose -> convert -> attempt -> answered
      ^         ^          |
      |         +-- learnt + (option_learning.py: an option was refused, so the same with another value)
      |   again, credential, target
      +--------------------+-> gave up: the client is told the most hopeful error
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from gateway.conversion.context import AnswerContext, AnsweredLocally, Converted
from gateway.errors import ClientError, GatewayError, UpstreamError, UpstreamTimedOut
from gateway.relay.attempt import TIMED_OUT, Opened, Upstream
from gateway.relay.exchange.exchange import Exchange, ExchangeAttempt
from gateway.relay.gateway import Gateway
from gateway.relay.option_learning import Teaching
from gateway.relay.request_conversion import conversion
from gateway.routing.resolve import Route
from gateway.upstream.failover.attempts import MOST_ATTEMPTS, Fault, Step, fault_of, is_overflow, step_after
from gateway.upstream.failover.choices import AttemptChoice, Choices
from gateway.upstream.failover.health import Kind
from gateway.wire.messages import Message, Sent
from gateway.wire.messages_request import MessagesRequest

logger = logging.getLogger("gateway.relay")

T = TypeVar("T")

# Clients sleep through a pause up to about this length and return; they do not accept a longer one.
LONGEST_CLIENT_PAUSE: Final = 60
SHORTEST_CONNECT: Final = 1.0


class Tries:
    """`prepare` first, then `message` or `first_events`. `upstream` is the attempt that runs or has answered.

    `beyond`: why the request may go to no other target than `routes`, where there are more.
    """

    upstream: Upstream

    def __init__(
        self,
        exchange: Exchange,
        gateway: Gateway,
        routes: Sequence[Route],
        request: MessagesRequest,
        beyond: GatewayError | None = None,
    ) -> None:
        self._beyond = beyond
        self._exchange = exchange
        self._gateway = gateway
        self._request = request
        session = exchange.arrival.session or exchange.request_id
        routes = gateway.lessons.in_force(routes, gateway.configuration.snapshot.refused_options)
        self._choices = Choices(routes, session, gateway.health)
        budget = gateway.retry_budget
        # a stream's 200 goes out after `commit_after`; a later attempt could not be followed by another
        self._deadline = gateway.clock() + (
            min(budget, gateway.commit_after) if exchange.streamed else budget
        )
        self._choice: AttemptChoice
        self._converted: tuple[Route, Converted]
        self._teaching = Teaching(exchange, gateway)
        self._tries_here = 0
        self._failures: list[tuple[Fault, UpstreamError]] = []
        self._committed = False

    @property
    def context(self) -> AnswerContext:
        """The context of the running attempt; call `prepare` first."""
        return self._converted[1].context

    async def prepare(self) -> AnsweredLocally | None:
        """Choose the first target and convert the request for it.

        Returns an answer that needs no provider. Raises InvalidRequest.
        """
        choice = self._choices.next(self._now, self._time_left)
        assert choice is not None
        converted = await conversion(self._exchange, self._gateway, choice.route, self._request)
        if isinstance(converted, AnsweredLocally):
            return converted
        self._take(choice, converted)
        return None

    async def message(self) -> Message:
        """The whole message of a request that is not streamed. Raises UpstreamError."""
        try:
            async with asyncio.timeout(self._gateway.call_timeout):
                return await self._tried(Upstream.message)
        except TimeoutError:
            raise UpstreamTimedOut(TIMED_OUT) from None

    async def first_events(self) -> Opened:
        """The first events of a streamed request. Raises UpstreamError when nothing was started."""
        return await self._tried(Upstream.first_events)

    def commit(self) -> Sequence[Sent]:
        """The 200 is sent before the provider has answered: from now on, no further attempt."""
        self._committed = True
        return self.upstream.commit()

    async def _tried(self, once: Callable[[Upstream], Awaitable[T]]) -> T:
        if self._choice.wait:
            await asyncio.sleep(self._choice.wait * (1 + self._gateway.jitter() / 10))
        while True:
            attempt = self._begun()
            try:
                result = await once(self.upstream)
            except UpstreamError as error:
                self.upstream.unsaid(error)
                attempt.failed(error, self._gateway.clock())
                if not self._committed:
                    # if the 200 goes out during a wait below, it begins a stream that can still fail
                    self.upstream.renew()
                try:
                    if await self._taught(error, attempt):
                        continue
                except BaseException:
                    self._gateway.health.left(self._choice.route)
                    raise
                step = self._after(error)
                attempt.next_step, attempt.pause = step.kind, step.pause or None
                if step.kind == "gave_up":
                    raise self._told(error) from None
                self._log(step, error)
                if not await self._moved(step, attempt):
                    raise self._told(error) from None
            except BaseException:
                self._gateway.health.left(self._choice.route)
                raise
            else:
                attempt.first_byte_at = self._gateway.clock()
                attempt.next_step = "answered"
                self._gateway.health.succeeded(self._choice.route, self._choice.credential)
                self._teaching.worked(self._choice)
                return result

    def _begun(self) -> ExchangeAttempt:
        choice, gateway = self._choice, self._gateway
        self._tries_here += 1
        gateway.health.begins(choice.route, self._now)
        self.upstream.begin()
        label = choice.credential.label if choice.credential else ""
        return self._exchange.attempt_begins(choice.route, label, gateway.now(), gateway.clock())

    # --- after a failure --------------------------------------------------------------

    async def _taught(self, error: UpstreamError, attempt: ExchangeAttempt) -> bool:
        """Whether the refusal named an option, so that the same target is asked again with it changed."""
        if self._committed or self._time_left <= 0 or len(self._exchange.tries) >= MOST_ATTEMPTS:
            return False
        before = self._converted[1]
        taught = self._teaching.changed(self._choice, error, before.body)
        if taught is None:
            return False
        lessons, route = taught
        choice, ledger = dataclasses.replace(self._choice, route=route), self._exchange.ledger
        converted = await self._converted_for(choice)
        if converted is None or converted.body == before.body or self._committed:
            # it would be refused again, or the 200 went out meanwhile
            self._exchange.ledger = ledger
            return False
        self._teaching.accepted(choice, lessons, error)
        attempt.next_step = "learnt"
        # the refused request does not count among the tries of the changed one
        self._tries_here -= 1
        # the provider answered and accepted the credential
        self._gateway.health.succeeded(choice.route, choice.credential)
        self._log(Step("learnt"), error)
        self._take(self._choices.teach(choice, route), converted)
        return True

    def _after(self, error: UpstreamError) -> Step:
        """Remember the failure and decide what follows."""
        choice, gateway = self._choice, self._gateway
        fault = fault_of(error)
        gateway.health.failed(choice.route, choice.credential, fault, error, self._now)
        self._failures.append((fault, error))
        if self._committed or len(self._exchange.tries) >= MOST_ATTEMPTS:
            return Step("gave_up")
        # a target tried only because nothing is free is tried once
        once = (choice.standing.kind is Kind.COOLING and not self._choices.alone) or (
            choice.standing.kind is Kind.LIMITED and not choice.wait
        )
        return step_after(
            fault,
            asked_pause=None if error.retry_after is None else float(error.retry_after),
            tries=self._tries_here,
            max_retries=0 if once else choice.route.provider.max_retries,
            time_left=self._time_left,
            elsewhere=self._choices.elsewhere(choice, self._now),
            jitter=gateway.jitter(),
            repeatable=error.should_retry is not False,
        )

    async def _moved(self, step: Step, attempt: ExchangeAttempt) -> bool:
        """Carry out the decision. False: it is no longer possible."""
        moved = False
        try:
            if step.kind == "again":
                await asyncio.sleep(step.pause)
                moved = True
            else:
                moved = await self._chosen_anew(step)
        finally:
            moved = moved and not self._committed
            if not moved:
                # the client left meanwhile, or the 200 went out
                attempt.next_step, attempt.pause = "gave_up" if self._committed else "", None
        return moved

    async def _chosen_anew(self, step: Step) -> bool:
        if step.kind == "credential":
            self._choices.give_up_credential(self._choice)
        else:
            self._choices.give_up_target(self._choice)
        while (choice := self._choices.next(self._now, 0.0)) is not None:
            ledger = self._exchange.ledger
            converted = await self._converted_for(choice)
            if self._committed:
                # the stream that has begun belongs to the attempt before, and so does what is told of it
                self._exchange.ledger = ledger
                return False
            if converted is not None:
                self._take(choice, converted)
                return True
            self._choices.give_up_target(choice)
        return False

    async def _converted_for(self, choice: AttemptChoice) -> Converted | None:
        """The request for the next target; None when that target's protocol cannot express it."""
        route, converted = self._converted
        if choice.route is route:
            return converted
        ledger = self._exchange.ledger
        try:
            found = await conversion(self._exchange, self._gateway, choice.route, self._request)
        except ClientError as problem:
            self._exchange.ledger = ledger
            logger.warning(
                "a target was passed over: it cannot be asked this",
                extra={
                    "request_id": self._exchange.request_id,
                    "provider": choice.route.provider.slug,
                    "upstream_model": choice.route.upstream_model,
                    "problem": problem.message,
                },
            )
            return None
        return None if isinstance(found, AnsweredLocally) else found

    def _take(self, choice: AttemptChoice, converted: Converted) -> None:
        if not self._exchange.tries or choice.index != self._choice.index:
            self._tries_here = 0
        self._choice = choice
        self._converted = (choice.route, converted)
        # a target that does not even accept connections must not use up the next one's time
        connect = choice.route.provider.connect_timeout
        if not self._choices.alone and self._choices.elsewhere(choice, self._now).target:
            connect = max(SHORTEST_CONNECT, self._time_left / 2)
        self.upstream = Upstream(self._exchange, self._gateway, choice, converted, connect)

    # --- what the client is told ----------------------------------------------------------

    def _told(self, last: UpstreamError) -> GatewayError:
        """The last error, or an earlier one that may pass if the last only says that an admin must act."""
        fault = self._failures[-1][0]
        if self._beyond is not None and fault is not Fault.CLIENT and not self._committed:
            return self._beyond
        if self._teaching.refusal is not None and fault is Fault.CLIENT and not is_overflow(last):
            # no lesson helped: report the refusal of the original request
            return self._teaching.refusal
        if self._committed or fault.may_pass or (fault is Fault.CLIENT and not is_overflow(last)):
            return self._with_pause(last, fault)
        hopeful = [(fault, error) for fault, error in self._failures if fault.may_pass]
        return self._with_pause(hopeful[-1][1], hopeful[-1][0]) if hopeful else last

    def _with_pause(self, error: UpstreamError, fault: Fault) -> UpstreamError:
        far_off = error.retry_after is not None and error.retry_after > LONGEST_CLIENT_PAUSE
        if fault is Fault.LIMIT and far_off and error.should_retry is None:
            error.should_retry = False
        return error

    def _log(self, step: Step, error: UpstreamError) -> None:
        route = self._choice.route
        logger.info(
            "trying again",
            extra={
                "request_id": self._exchange.request_id,
                "provider": route.provider.slug,
                "upstream_model": route.upstream_model,
                "attempt": len(self._exchange.tries),
                "next": step.kind,
                "pause": round(step.pause, 3),
                "problem": error.message,
            },
        )

    @property
    def _now(self) -> float:
        return self._gateway.now().timestamp()

    @property
    def _time_left(self) -> float:
        """Seconds within which another attempt may begin."""
        return self._deadline - self._gateway.clock()
