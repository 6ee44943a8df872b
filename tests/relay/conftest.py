"""A gateway in front of two providers."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import pytest

from gateway.routing.health_events import Change
from gateway.routing.snapshot import Credential, ProviderConfig, Target
from gateway.upstream.failover.health import Health
from tests.conftest import Bench, FixedConfiguration, rule, snapshot_of
from tests.fakes.provider import FakeProvider


def credential(number: int, **fields) -> Credential:
    return Credential(**{"id": number, "label": f"c{number}", "value": f"sk-{number}", **fields})


@dataclass
class TwoTargets:
    """`first` and `second` answer for the mapping `*`, as upstream models `one` and `two`."""

    bench: Bench
    first: FakeProvider
    second: FakeProvider
    changes: list[Change] = field(default_factory=list)
    clock: float = 1000.0

    def configure(self, first=None, second=None, targets=(("first", "one"), ("second", "two"))) -> None:
        """Replace fields of the two providers, or the order of the targets."""
        providers = [
            ProviderConfig(
                slug=slug,
                name=slug,
                base_url=fake.base_url,
                **({"max_retries": 0, "credentials": own} | (changed or {})),
            )
            for slug, fake, own, changed in (
                ("first", self.first, (credential(1),), first),
                ("second", self.second, (credential(100),), second),
            )
        ]
        rules = [dataclasses.replace(rule(), targets=tuple(Target(*target) for target in targets))]
        self.bench.set(configuration=FixedConfiguration(snapshot_of(providers=providers, rules=rules)))

    @property
    def tries(self):
        """What the history says of the last exchange: target, status, what followed."""
        return [(t.upstream_model, t.status, t.next_step) for t in self.bench.recorder.last.tries]

    async def ask(self, body, **options):
        return await self.bench.client.messages(body, **options)


@pytest.fixture
async def two(bench):
    second = await FakeProvider().start()
    targets = TwoTargets(bench, bench.provider, second)
    bench.set(jitter=lambda: 0.0, health=Health(targets.changes.append))
    targets.configure()
    yield targets
    await second.stop()
