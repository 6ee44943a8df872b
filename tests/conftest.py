"""What many tests share: a fake provider, a gateway in front of it, a client."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
from dataclasses import dataclass, field

import hypothesis
import pytest
from django.conf import settings
from django.utils import translation

from ccproxy_site.server.handler import GatewayHandler
from chaos.engines import EngineMissing, Postgres, Redis, running
from gateway.app.runtime import runtime
from gateway.history.content import content_store
from gateway.history.outcome import ExchangeOutcome
from gateway.history.outcomes.tool_names import counted_tools
from gateway.history.totals.counted_names import counted_names
from gateway.history.totals.counted_origins import counted_origins
from gateway.models.configuration.condition_words import zone_of
from gateway.relay.gateway import Gateway
from gateway.routing.conditions import compiled
from gateway.routing.snapshot import ConfigSnapshot, Credential, KeyEntry, MappingRule, ProviderConfig, Target
from gateway.security.client_keys import digest
from gateway.upstream.client import UpstreamClient
from gateway.upstream.demo import demo_answer
from tests import emptying
from tests.again import again, left_out, runs_again
from tests.asgi_client import Client
from tests.fakes.provider import FakeProvider
from tests.server.conftest import environment, manage, migrated, name_of, shared_folder

# speed is measured in bench/, and this machine may be busy
hypothesis.settings.register_profile("untimed", deadline=None)
# tests/fuzz.py
hypothesis.settings.register_profile("fuzz", deadline=None, max_examples=1_000)
# tests/mutants.py: that an example fails is enough, and no other run should meet it
hypothesis.settings.register_profile(
    "mutants", deadline=None, database=None, phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate]
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "untimed"))


def pytest_configure():
    emptying.install()
    # before there are workers, which inherit it
    shared_folder()


def pytest_ignore_collect(collection_path):
    return True if again() and left_out(collection_path) else None


def pytest_collection_modifyitems(config, items):
    """On other engines than SQLite only what the engine may change is run again."""
    if not again():
        return
    others = [item for item in items if not runs_again(item)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if runs_again(item)]


def pytest_collection_finish(session):
    """Thousands of tests stay to the end; a collection among them would count as CPU of whatever runs."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix):
    """On PostgreSQL the tests' own database begins as a copy of one that has been migrated."""
    if again():
        settings.DATABASES["default"].setdefault("TEST", {})["TEMPLATE"] = name_of(migrated())


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server for the run."""
    yield from _engine(Postgres)


@pytest.fixture(scope="session")
def migrated_postgres(postgres, tmp_path_factory):
    """migrated_postgres(name) makes a database as `migrate` leaves it; its URL."""
    template = "migrated"
    env = environment(tmp_path_factory.mktemp(template), DATABASE_URL=postgres.create(template))
    manage("migrate", "--verbosity", "0", env=env)
    return lambda name: postgres.create(name, template)


@pytest.fixture(scope="session")
def redis_server():
    """A Redis server for the run."""
    yield from _engine(Redis)


def _engine(kind):
    try:
        with running(kind()) as engine:
            yield engine
    except EngineMissing as missing:
        pytest.skip(f"NOT TESTED: {missing}")


@pytest.fixture(autouse=True)
def an_empty_database_is_unknown():
    """What an earlier test stored is not in this one's database."""
    content_store.known.forget()
    counted_names.forget()
    counted_origins.forget()
    counted_tools.forget()


@dataclass
class MemoryRecorder:
    """Keeps what it is handed, in order."""

    open: list[ExchangeOutcome] = field(default_factory=list)
    ended: list[ExchangeOutcome] = field(default_factory=list)

    def opened(self, outcome: ExchangeOutcome) -> None:
        self.open.append(outcome)

    def closed(self, outcome: ExchangeOutcome) -> None:
        self.ended.append(outcome)

    async def settled(self, outcome: ExchangeOutcome) -> None:
        self.ended.append(outcome)

    @property
    def last(self) -> ExchangeOutcome:
        return self.ended[-1]


@dataclass
class FixedConfiguration:
    snapshot: ConfigSnapshot


def key_entry(key: str, **fields) -> KeyEntry:
    return KeyEntry(**{"id": 1, "name": "test", "digest": digest(key), **fields})


def rule(pattern: str = "*", provider: str = "fake", upstream_model: str = "", **fields) -> MappingRule:
    """`when` as in a record."""
    return MappingRule(
        **{
            "id": 1,
            "pattern": pattern,
            "exact": "*" not in pattern,
            "targets": (Target(provider, upstream_model),),
            "condition": compiled(fields.pop("when", {}), zone_of),
            **fields,
        }
    )


def snapshot_of(*, providers, rules=None, keys=(), **fields) -> ConfigSnapshot:
    return ConfigSnapshot(
        stamp=1,
        providers={provider.slug: provider for provider in providers},
        rules=tuple(rules or [rule()]),
        keys={entry.digest: entry for entry in keys},
        **{"anonymous_allowed": not keys, **fields},
    )


@dataclass
class Bench:
    """A gateway in a test: change `gateway` with `set`, the configuration with `configure`."""

    provider: FakeProvider
    recorder: MemoryRecorder
    gateway: Gateway
    client: Client
    base: ProviderConfig

    def set(self, **fields) -> None:
        self.gateway = dataclasses.replace(self.gateway, **fields)
        runtime.install(self.gateway)

    def configure(self, *, provider=None, rules=None, keys=(), **fields) -> None:
        changed = dataclasses.replace(self.base, **(provider or {}))
        self.set(
            configuration=FixedConfiguration(
                snapshot_of(providers=[changed], rules=rules, keys=keys, **fields)
            )
        )


@contextlib.asynccontextmanager
async def at_a_bench():
    """The fixture `bench`, for what is no test."""
    provider = await FakeProvider().start()
    base = ProviderConfig(
        slug="fake",
        name="Fake",
        base_url=provider.base_url,
        credentials=(Credential(1, "first", "sk-upstream-secret"),),
        max_retries=0,
    )
    recorder = MemoryRecorder()
    gateway = Gateway(
        configuration=FixedConfiguration(snapshot_of(providers=[base])),
        client=UpstreamClient(demo=demo_answer),
        recorder=recorder,
    )
    runtime.install(gateway)
    yield Bench(provider, recorder, gateway, Client(GatewayHandler()), base)
    runtime.install(None)
    gateway.pdf_workers.stop()
    await gateway.client.close()
    await provider.stop()


@pytest.fixture
async def bench():
    async with at_a_bench() as made:
        yield made


def asking(text: str = "hi", *, model: str = "m", stream: bool = False, **fields):
    """The smallest Messages request."""
    return {
        "model": model,
        "max_tokens": 100,
        "messages": [{"role": "user", "content": text}],
        **({"stream": True} if stream else {}),
        **fields,
    }


@pytest.fixture(autouse=True)
def _language():
    """A page that was asked for in Chinese leaves its language to the thread."""
    yield
    translation.deactivate()
