"""Keeps the records that the environment defines in step with it, at each start.

The provider, its mappings and the client key carry `environment_key`, so a record that an
admin has taken over (origin `admin`) is recognised, left unchanged and not created again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Final

from django.db import transaction
from django.utils.text import slugify

from gateway.conf import GatewayConf, gateway_conf
from gateway.config.changes import ENVIRONMENT, acting
from gateway.config.model_lifecycle.lifecycle import living
from gateway.config.presets.recognise import (
    Recognised,
    azure_deployment,
    check_environments_address,
    is_azure,
    recognised,
)
from gateway.config.startup import demo
from gateway.models import (
    ClientKey,
    ConfigRecord,
    DailyTotal,
    MappingTarget,
    ModelMapping,
    Origin,
    Provider,
    ProviderCredential,
    RequestLog,
)

PROVIDER_KEY: Final = "provider"
KEY_NAME: Final = "ANTHROPIC_API_KEY"
# names that the original proxy passes on unchanged
PASSED_UNCHANGED: Final = ("gpt-", "o1-", "o3-", "o4-", "ep-", "doubao-", "deepseek-")
# after the admin's own mappings, before the demo's
FIRST_POSITION: Final = 1000
_SLUG_LENGTH: Final = 40


@dataclass(frozen=True, slots=True)
class Synced:
    """What is in force after a sync. `provider` is the environment's record, even when taken over."""

    provider: Provider | None
    taken_over: bool
    demo_only: bool


def sync_environment(conf: GatewayConf | None = None, today: date | None = None) -> Synced:
    """Make, change or remove the environment's records; a second call changes nothing, not even the stamp.

    Raises what the database raises, and ValueError when OPENAI_BASE_URL is not a web address.
    """
    conf = with_living_defaults(conf or gateway_conf(), today or datetime.now(UTC).date())
    with acting(source=ENVIRONMENT), transaction.atomic():
        _sync_client_key(conf)
        provider = _sync_provider(conf)
        demo_only = demo.sync_demo()
    taken_over = provider is not None and provider.origin != Origin.ENVIRONMENT
    return Synced(provider, taken_over, demo_only)


def with_living_defaults(conf: GatewayConf, today: date) -> GatewayConf:
    """The settings, with models that answer in place of the defaults. What somebody chose stays.

    A default that has ended gives way to its successor, and each default to the deployment of an Azure URL.
    """
    default = GatewayConf()
    usual = {default.big_model, default.middle_model, default.small_model}

    deployment = azure_deployment(conf.openai_base_url)

    def asked(model: str) -> str:
        if model and model in usual and deployment:
            return deployment
        return living(conf.openai_base_url, model, today) if model in usual else model

    return replace(
        conf,
        big_model=asked(conf.big_model),
        middle_model=asked(conf.middle_model),
        small_model=asked(conf.small_model),
    )


def _sync_provider(conf: GatewayConf) -> Provider | None:
    record: Provider | None = Provider.objects.filter(environment_key=PROVIDER_KEY).first()
    if record is not None and record.origin != Origin.ENVIRONMENT:
        return record
    if not conf.upstream_configured:
        _remove(record)
        return None
    server = recognised(
        conf.openai_base_url.strip() or conf.openai_base_url_default(),
        api_version=conf.azure_api_version,
        has_key=bool(conf.openai_api_key),
    )
    record = record or Provider(environment_key=PROVIDER_KEY, origin=Origin.ENVIRONMENT)
    _keep(
        record,
        name=server.host if server.preset.slug == "generic" else server.preset.label,
        slug=_free_slug(server, record),
        preset=server.preset.slug,
        base_url=server.base_url,
        auth=server.auth,
        query=dict(server.query),
        options=dict(server.options),
        first_byte_timeout=conf.request_timeout,
        silence_timeout=conf.request_timeout,
        max_retries=conf.max_retries,
        enabled=True,
    )
    _sync_credential(conf, record)
    _sync_mappings(conf, record)
    return record


def _remove(provider: Provider | None) -> None:
    """The environment names no provider now. One that an admin's mapping still uses is only disabled."""
    ModelMapping.objects.filter(origin=Origin.ENVIRONMENT).delete()
    if provider is None:
        return
    if provider.targets.exists():
        _keep(provider, enabled=False)
    else:
        provider.delete()


def _free_slug(server: Recognised, record: Provider) -> str:
    slug = server.preset.slug
    wanted = {"openai-chat": "openai", "generic": slugify(server.host.replace(".", "-").replace(":", "-"))}
    base = "azure" if is_azure(slug) else wanted.get(slug, slug)
    base = base[:_SLUG_LENGTH].strip("-") or "environment"
    if record.slug == base or record.slug.startswith(f"{base}-env"):
        return record.slug
    taken = set(Provider.objects.exclude(pk=record.pk).values_list("slug", flat=True))
    return next(slug for slug in _numbered(base) if slug not in taken)


def _numbered(base: str) -> Iterator[str]:
    yield base
    yield f"{base}-env"
    number = 2
    while True:
        yield f"{base}-env{number}"
        number += 1


def _sync_credential(conf: GatewayConf, provider: Provider) -> None:
    """The record that stands for OPENAI_API_KEY: it holds no value, and can be set aside like any other.

    A start clears that: the key may have changed.
    """
    kept = provider.credentials.filter(origin=Origin.ENVIRONMENT)
    if not conf.openai_api_key:
        for record in kept:
            record.delete()
        return
    record = kept.first() or ProviderCredential(provider=provider, origin=Origin.ENVIRONMENT)
    if record.set_aside_since is not None:
        record.bring_back()
    _keep(record, label="", position=0, enabled=True)


def _sync_mappings(conf: GatewayConf, provider: Provider) -> None:
    kept = {record.environment_key: record for record in ModelMapping.objects.exclude(environment_key="")}
    wanted = rules(conf)
    for position, (pattern, (model, values)) in enumerate(wanted.items()):
        record = kept.get(pattern) or ModelMapping(environment_key=pattern, origin=Origin.ENVIRONMENT)
        if record.origin == Origin.ENVIRONMENT:
            _keep(
                record,
                pattern=pattern,
                position=FIRST_POSITION + 10 * position,
                max_output_tokens=conf.max_tokens_limit,
                min_output_tokens=conf.min_tokens_limit,
                enabled=True,
                **values,
            )
            _sync_target(record, provider, model)
    for key, record in kept.items():
        if key not in wanted and record.origin == Origin.ENVIRONMENT:
            record.delete()


def _sync_target(mapping: ModelMapping, provider: Provider, upstream_model: str) -> None:
    """A mapping of the environment has one target."""
    first, *others = mapping.targets.all() or [MappingTarget(mapping=mapping)]
    _keep(
        first,
        provider_id=provider.pk,
        upstream_model=upstream_model,
        model_family="",
        position=0,
        enabled=True,
    )
    for other in others:
        other.delete()


def rules(conf: GatewayConf) -> dict[str, tuple[str, dict[str, Any]]]:
    """The original proxy's rules, in its order: pattern -> upstream model, and what else differs."""
    found: dict[str, tuple[str, dict[str, Any]]] = {
        f"{start}*": ("", {"public_names": [], "note": "sent on unchanged"}) for start in PASSED_UNCHANGED
    }
    for family, variable, model in (
        ("haiku", "SMALL_MODEL", conf.small_model),
        ("sonnet", "MIDDLE_MODEL", conf.middle_model),
        ("opus", "BIG_MODEL", conf.big_model),
    ):
        public = [demo.PUBLIC_NAMES[family]]
        found[f"*{family}*"] = (model, {"public_names": public, "note": variable})
    found["*"] = (conf.big_model, {"public_names": [], "note": "BIG_MODEL"})
    return found


def _sync_client_key(conf: GatewayConf) -> None:
    record = ClientKey.objects.filter(origin=Origin.ENVIRONMENT).first()
    if not conf.anthropic_api_key:
        if record is not None:
            _retire(record)
        return
    wanted = ClientKey(name=KEY_NAME, origin=Origin.ENVIRONMENT)
    wanted.set_key(conf.anthropic_api_key)
    if ClientKey.objects.filter(digest=wanted.digest).exists():
        # already in step, or an admin's key that is also in the environment
        if record is not None and record.digest != wanted.digest:
            _retire(record)
        return
    if record is None:
        wanted.save()
    else:
        # a different key: its history stays, but the revocation was of the old one
        record.set_key(conf.anthropic_api_key)
        record.revoked_at = None
        record.save()


def _retire(key: ClientKey) -> None:
    """The environment names this key no more. One that was used stays, revoked: the history and holds point
    at it.

    The variable brings it back, but not one that an admin revoked.
    """
    is_used = (
        key.holds.exists()
        or RequestLog.objects.filter(client_key=key).exists()
        or DailyTotal.objects.filter(client_key_pk=key.pk).exists()
    )
    if not is_used:
        key.delete()
    elif key.revoked_at is None:
        key.retire()


def _keep(record: ConfigRecord, **values: Any) -> None:
    """Give the record these values; write only when something differs, so that the stamp is unchanged."""
    changed = [name for name, value in values.items() if getattr(record, name) != value]
    for name in changed:
        setattr(record, name, values[name])
    if changed or record.pk is None:
        record.save()


def take_over_provider(provider: Provider, conf: GatewayConf | None = None) -> int:
    """Copy everything that the environment gives into the record, credential and headers included.

    Its mappings from the environment are taken over too, or they would vanish with the
    variables; returns how many. From then on the environment changes none of them.
    Raises encryption.UnusableKey when secrets cannot be stored, and SavedElsewhere when
    the record does not lead to OPENAI_BASE_URL.
    """
    conf = conf or gateway_conf()
    check_environments_address(provider.destination("value"), conf)
    with transaction.atomic():
        provider.set_headers(dict(conf.custom_headers))
        provider.origin = Origin.ADMIN
        provider.save()
        for credential in provider.credentials.filter(origin=Origin.ENVIRONMENT):
            credential.value, credential.origin = conf.openai_api_key, Origin.ADMIN
            credential.label = credential.label or "OPENAI_API_KEY"
            credential.save()
        return ModelMapping.objects.filter(targets__provider=provider, origin=Origin.ENVIRONMENT).update(
            origin=Origin.ADMIN
        )


def take_over_mapping(mapping: ModelMapping) -> None:
    """From now on the environment leaves this mapping unchanged."""
    mapping.origin = Origin.ADMIN
    mapping.save(update_fields=["origin"])
