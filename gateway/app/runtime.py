"""The process's Gateway, built on first use because the server sends no start-up event."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from django.conf import settings

from gateway.app.database_calls import database_calls
from gateway.app.database_pool import pool_state
from gateway.conf import GatewayConf, gateway_conf
from gateway.config.file import document
from gateway.config.health_records import StandingRecords
from gateway.config.last_policies import LastPolicies
from gateway.config.snapshot.current import CurrentSnapshot
from gateway.config.startup.environment import sync_environment
from gateway.config.startup.start_lock import start_lock
from gateway.conversion.tokens import vocabulary
from gateway.errors import KeyRefused, NotReady
from gateway.evaluation.asking import GatewayAsker
from gateway.evaluation.worker import EvaluationWorker
from gateway.history.follow_up_queue import Handover
from gateway.history.live_tail import LiveTail, TailedRecorder
from gateway.history.record.follow_up import FollowUpWorker
from gateway.history.record.processes import OwnProcess
from gateway.history.record.recorder import Recorder
from gateway.history.refused_keys import RefusedKeys
from gateway.history.retention import RetentionWorker
from gateway.history.secrets.masker import masker
from gateway.history.shadow_spend import spent_on_shadows
from gateway.limits.limiter import Limiter
from gateway.limits.settings import limits_store
from gateway.limits.spent import History
from gateway.models.database_errors import concerns_server
from gateway.personal_data.erasure import carry_on_all
from gateway.relay.exchange.live import LiveExchanges
from gateway.relay.gate import Gate
from gateway.relay.gateway import Gateway
from gateway.relay.shadow import Shadows
from gateway.routing.secret_forms import forms_of_secrets
from gateway.routing.snapshot import ConfigSnapshot
from gateway.security.encryption import seal_keys
from gateway.telemetry import metrics
from gateway.telemetry.logs import conceal
from gateway.upstream.client import UpstreamClient
from gateway.upstream.demo import demo_answer
from gateway.upstream.failover.health import Health
from gateway.upstream.failover.learnt_options import Lessons
from gateway.watch.worker import WatchWorker

logger = logging.getLogger("gateway.api")

# between two tries to reach a database that was away at the start
RETRY_SECONDS: Final = 1.0


def _secrets(conf: GatewayConf, configuration: CurrentSnapshot) -> tuple[str, ...]:
    """What no log line and no stored text shows."""
    return forms_of_secrets([*conf.secrets, *configuration.snapshot.secrets])


def _looked(loaded: bool, *, counting: bool) -> None:
    if counting:
        metrics.configuration_state(loaded=loaded)


class Runtime:
    """Holds one Gateway for the running event loop, because the HTTP client belongs to a loop."""

    def __init__(self) -> None:
        self._gateway: Gateway | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._configuration: CurrentSnapshot | None = None
        self._recorder: Recorder | None = None
        self._limiter: Limiter | None = None
        self._standing: StandingRecords | None = None
        self._follow_up: FollowUpWorker | None = None
        self._handover = Handover()
        self._process: OwnProcess | None = None
        self._draining = False
        self._shadows: Shadows | None = None
        self._retention: RetentionWorker | None = None
        self._refused_keys: RefusedKeys | None = None
        self._watch: WatchWorker | None = None
        self._evaluations: EvaluationWorker | None = None
        self._preparing = threading.Lock()
        self._last_policies: LastPolicies | None = None
        # what the database said when the process could not prepare, and when (monotonic)
        self._unprepared: tuple[Exception, float] | None = None

    def prepare(self) -> None:
        """Synchronise the environment's records and load the configuration.

        Call it before the server takes requests, outside the event loop. Raises what the database raises.
        May be called again, and from several threads.
        """
        with self._preparing:
            self._prepare()

    def prepare_or_wait(self) -> None:
        """`prepare`; but while the database is away, serve what this machine has kept, if it has anything.

        Raises what the database raises.
        """
        try:
            self.prepare()
        except Exception as problem:
            if not concerns_server(problem) or self.kept_policies() is None:
                raise
            logger.exception(
                "the database does not answer; until it does, policies of clients alone are served"
            )
            self._unprepared = problem, time.monotonic()

    def kept_policies(self) -> ConfigSnapshot | None:
        """The policies of clients as this machine last knew them; None: it never did."""
        conf = gateway_conf()
        return self._policies(conf).read(seal_keys(conf.field_encryption_keys)) if conf.sign_in else None

    def _policies(self, conf: GatewayConf) -> LastPolicies:
        if self._last_policies is None:
            self._last_policies = LastPolicies(conf.spool_folder.parent / "client-policies.json")
        return self._last_policies

    def _prepare(self) -> None:
        if self._configuration is None:
            conf = gateway_conf()
            with start_lock():
                sync_environment(conf)
                if conf.config_file:
                    document.load(Path(conf.config_file))
            looked = partial(_looked, counting=bool(conf.metrics_token))
            configuration = CurrentSnapshot(tell=self._configuration_changed, looked=looked)
            if conf.sign_in:
                self._policies(conf).keep(configuration.snapshot)
            configuration.start()
            for name in configuration.snapshot.vocabularies:
                vocabulary.prepare(name)
            self._configuration = configuration
            conceal(partial(_secrets, conf, configuration))
        if self._recorder is None:
            self._process, self._recorder = self._ready_recorder(self._configuration)
            self._process.start()

    def _configuration_changed(self, snapshot: ConfigSnapshot) -> None:
        """Runs in the configuration's thread: ends the requests whose key is now refused.

        The file of policies comes last: its disk must not delay those endings.
        """
        gateway, loop = self._gateway, self._loop
        if gateway is not None and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(gateway.live.dismiss, snapshot, time.time())
        if self._last_policies is not None:
            self._last_policies.keep(snapshot)

    @property
    def _waits(self) -> bool:
        return self._unprepared is not None

    def _prepare_late(self) -> None:
        """`prepare`, but after the database was away not more often than once in RETRY_SECONDS."""
        if not self._waits:
            self.prepare()
            return
        with self._preparing:
            if self._unprepared is None:
                # somebody else did it meanwhile
                return
            problem, when = self._unprepared
            if time.monotonic() - when < RETRY_SECONDS:
                raise NotReady from problem
            try:
                self._prepare()
            except Exception as again:
                self._unprepared = again, time.monotonic()
                raise NotReady from again
            self._unprepared = None
            logger.warning("the database answers")

    async def gateway(self, *, evaluating: bool = True) -> Gateway:
        """The gateway of the running loop. `evaluating`: this process also runs what evaluations wait.

        Raises NotReady while the database is away and this process has never reached it.
        """
        loop = asyncio.get_running_loop()
        if self._gateway is None or self._loop is not loop:
            # a server that is not ours did not prepare: the first request does it, off the loop
            await asyncio.to_thread(self._prepare_late)
            # several first requests may have waited for it; they share one result
            if self._gateway is None or self._loop is not loop:
                self._gateway, self._loop = self._built(), loop
                snapshot = self._gateway.configuration.snapshot
                # a provider with a network of its own gets its connection from its first request
                if snapshot.stopped is None:
                    self._gateway.client.warm_up(
                        provider.base_url
                        for provider in snapshot.providers.values()
                        if provider.enabled and provider.network is None
                    )
                if self._gateway.counting:
                    metrics.watch_loop(loop, pool_state)
                if evaluating:
                    self._evaluate(GatewayAsker(self._gateway, loop))
        return self._gateway

    def _evaluate(self, asker: GatewayAsker) -> None:
        assert self._process is not None
        if self._evaluations is not None:
            self._evaluations.stop()
        self._evaluations = EvaluationWorker(self._process.name, settings.LANGUAGE_CODE, asker)
        self._evaluations.start()

    def install(self, gateway: Gateway | None) -> None:
        """Use `gateway` on the running loop instead (tests); None = build a new one."""
        self._gateway = gateway
        self._loop = asyncio.get_running_loop() if gateway else None

    @property
    def snapshot(self) -> ConfigSnapshot | None:
        """The configuration in force; None when nothing is prepared yet."""
        configuration = self._configuration if self._gateway is None else self._gateway.configuration
        return None if configuration is None else configuration.snapshot

    def key_refused(self, refusal: KeyRefused, address: str) -> None:
        """Count a client key that was shown from `address` and refused."""
        if self._refused_keys is not None:
            self._refused_keys.note(refusal.key_id, refusal.prefix, refusal.reason, address)

    @property
    def draining(self) -> bool:
        """The process is stopping: it takes no new requests."""
        return self._draining

    def drain(self) -> None:
        """Take no new requests; those under way go on."""
        self._draining = True
        if self._gateway is not None:
            self._gateway.live.draining = True
        if self._shadows is not None:
            self._shadows.stop()
        if self._evaluations is not None:
            self._evaluations.stop()

    def interrupt(self) -> None:
        """End the requests that are still running, each with an error that its client understands."""
        if self._gateway is not None:
            self._gateway.live.interrupt()

    def stop(self) -> None:
        """Write what the recorder holds, then finish what could also be made up for later.

        Takes no longer than conf.SETTLING_SECONDS, whatever the database does: each part has its own
        limit, and what must not be lost comes first.
        """
        if self._gateway is not None:
            self._gateway.pdf_workers.stop()
        if self._recorder is not None:
            self._recorder.stop()
        for part in (
            self._evaluations,
            self._limiter,
            self._follow_up,
            self._retention,
            self._watch,
            self._standing,
            self._refused_keys,
        ):
            if part is not None:
                try:
                    part.stop()
                except Exception:
                    # the others must still be told
                    logger.exception("unexpected error while stopping")
        if self._process is not None:
            self._process.end()

    def _ready_recorder(self, configuration: CurrentSnapshot) -> tuple[OwnProcess, Recorder]:
        conf = gateway_conf()
        process = OwnProcess(conf.spool_folder, lambda: self._recover(recorder))
        recorder = Recorder(
            conf.spool_folder,
            process.name.replace("/", "_"),
            patience=conf.history_patience,
            prices=lambda: configuration.snapshot.prices,
            mask=lambda: masker(configuration.snapshot.secret_looks, _secrets(conf, configuration)),
            hand_over=self._handover.put,
            tell=metrics.history_state if conf.metrics_token else lambda _waiting, _committed: None,
        )
        process.begin()
        return process, recorder

    @staticmethod
    def _recover(recorder: Recorder) -> None:
        rows = recorder.recover(gateway_conf().spool_folder)
        if rows:
            logger.warning("history recovered from the spool of a process that died", extra={"rows": rows})

    def _ready_limiter(self) -> Limiter:
        conf = gateway_conf()
        return Limiter(
            limits_store(conf.limits_store),
            History(),
            fail_closed=conf.limits_fail_closed,
            refuse_unpriced=conf.unpriced_spend == "refuse",
            uncounted=metrics.uncounted,
        )

    def _built(self) -> Gateway:
        conf = gateway_conf()
        assert self._configuration is not None and self._recorder is not None
        if self._limiter is None:
            # its threads belong to the serving process, like those of the follow-up
            self._limiter = self._ready_limiter()
        if self._follow_up is None:
            # in the serving process, not in the one it was forked from
            configuration = self._configuration
            self._follow_up = FollowUpWorker(self._handover, lambda: configuration.snapshot.prices)
            self._follow_up.start()
            self._retention = RetentionWorker(
                lambda now, stopping: carry_on_all(now, conf.spool_folder, stopping)
            )
            self._retention.start()
        assert self._process is not None
        if self._watch is None:
            self._watch = WatchWorker(self._process.name, settings.LANGUAGE_CODE)
            self._watch.start()
        self._shadows = Shadows(_spent_on_shadows, metrics.shadow_dropped)
        live = LiveExchanges()
        live.draining = self._draining
        if self._refused_keys is None:
            self._refused_keys = RefusedKeys()
        if self._standing is None:
            self._standing = StandingRecords(self._process.name)
        return Gateway(
            configuration=self._configuration,
            live=live,
            client=UpstreamClient(
                demo=demo_answer,
                lean=conf.upstream_transport == "lean",
                link_local=conf.allow_link_local,
                warm=conf.warm_connections,
            ),
            recorder=TailedRecorder(self._recorder, LiveTail(live.progress)),
            limiter=self._limiter,
            gate=Gate(conf.max_requests, conf.queue_wait),
            stream_limit=conf.stream_limit,
            process=self._process.name,
            counting=bool(conf.metrics_token),
            counting_owners=conf.metrics_by_owner,
            capture_policy=conf.capture_bodies,
            commit_after=conf.commit_after,
            ping_interval=conf.ping_interval,
            retry_budget=conf.retry_budget,
            seal_keys=seal_keys(conf.field_encryption_keys),
            health=Health(self._standing.note),
            lessons=Lessons(self._standing.note),
            shadows=self._shadows,
        )


async def _spent_on_shadows(mapping: int, since: datetime) -> float:
    return await database_calls(partial(spent_on_shadows, mapping, since))


runtime = Runtime()
