"""The demo provider: present while no real one serves, so that a first start can answer."""

from __future__ import annotations

from typing import Final

from gateway.models import MappingTarget, ModelMapping, Origin, Provider

SLUG: Final = "demo"
# The demo transport answers inside the process; the address is never called.
BASE_URL: Final = "http://demo.invalid/v1"
# Claude Code's model picker shows names that contain claude.
PUBLIC_NAMES: Final = {
    "opus": "claude-opus-5-5",
    "sonnet": "claude-sonnet-5-5",
    "haiku": "claude-haiku-5-5",
}
_LAST: Final = 1_000_000


def demo_only() -> bool:
    """Whether no enabled mapping leads to an enabled real provider."""
    real = MappingTarget.objects.filter(enabled=True, mapping__enabled=True, provider__enabled=True)
    return not real.exclude(provider__origin=Origin.DEMO).exists()


def sync_demo() -> bool:
    """Create the demo's records while nothing real serves, remove them once something does.

    Returns demo_only(). If an admin switched the demo on or off, that stays.
    """
    wanted = demo_only()
    if wanted:
        _make()
    else:
        ModelMapping.objects.filter(origin=Origin.DEMO).delete()
        # kept when an admin's own mapping leads to it
        Provider.objects.filter(origin=Origin.DEMO, targets__isnull=True).delete()
    return wanted


def _make() -> None:
    provider = Provider.objects.filter(origin=Origin.DEMO).first()
    if provider is None:
        slug = SLUG if not Provider.objects.filter(slug=SLUG).exists() else "demo-built-in"
        provider = Provider.objects.create(
            name="Demo (built in)", slug=slug, base_url=BASE_URL, auth="none", origin=Origin.DEMO
        )
    if not ModelMapping.objects.filter(origin=Origin.DEMO).exists():
        mapping = ModelMapping.objects.create(
            position=_LAST,
            pattern="*",
            public_names=list(PUBLIC_NAMES.values()),
            note="answers until a real provider has a mapping",
            origin=Origin.DEMO,
        )
        mapping.lead_to(provider, "demo")
