"""load(): all configuration records as one frozen snapshot; the only reader of them at run time."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from gateway.conf import GatewayConf, gateway_conf
from gateway.config.learnt_options import decided
from gateway.config.snapshot.catalogue import known_prices
from gateway.config.snapshot.model_sizes import listed_sizes
from gateway.config.snapshot.people import (
    counted_groups,
    groups_of_people,
    limits_of,
    named_groups,
    people_limits,
    policies,
    safeguard_rules,
)
from gateway.config.snapshot.prices import price_book
from gateway.config.snapshot.providers import provider_config
from gateway.config.snapshot.rules import mapping_rules, texts_of
from gateway.models import (
    ClientKey,
    ConfigStamp,
    EmergencyStop,
    ModelPrice,
    Origin,
    Provider,
    SearchEngine,
    SecretPattern,
    TokenFactor,
)
from gateway.routing.secret_forms import kept_secret
from gateway.routing.snapshot import (
    WHOEVER,
    ConfigSnapshot,
    KeyEntry,
    PersonLimits,
    SearchEngineConfig,
    SecretLook,
)
from gateway.security.encryption import EncryptionError, seal_keys

logger = logging.getLogger(__name__)

_TRIES: Final = 5


def load(conf: GatewayConf | None = None) -> ConfigSnapshot:
    """Read everything at one stamp. Credentials are opened here; one that cannot be opened is flagged.

    Raises only what the database raises.
    """
    conf = conf or gateway_conf()
    stamp = ConfigStamp.current()
    for _ in range(_TRIES):
        snapshot = _read(stamp, conf)
        now = ConfigStamp.current()
        if now == stamp:
            break
        # a change came in between: what was read may be half of it
        stamp = now
    return snapshot


def _read(stamp: int, conf: GatewayConf) -> ConfigSnapshot:
    providers = list(Provider.objects.prefetch_related("credentials"))
    rules = mapping_rules()
    keys = list(ClientKey.unretired().select_related("user"))
    people = people_limits()
    entries = {record.digest: _key(record, people) for record in keys}
    options = decided()
    known_prices().prepare(record.base_url for record in providers)
    configs = {record.slug: provider_config(record, conf) for record in providers}
    search_engine = _search_engine(SearchEngine.objects.filter(enabled=True).first())
    return ConfigSnapshot(
        stamp=stamp,
        providers=MappingProxyType(configs),
        rules=rules,
        keys=MappingProxyType(entries),
        sign_ins=MappingProxyType(
            {record.pk: entries[record.digest] for record in keys if record.origin == Origin.SIGN_IN}
        ),
        token_keys=seal_keys(conf.field_encryption_keys),
        policies=policies(),
        safeguard_rules=safeguard_rules(),
        groups=MappingProxyType(groups_of_people()),
        group_names=MappingProxyType(named_groups(rules)),
        counted_groups=MappingProxyType(counted_groups()),
        prices=price_book(
            ModelPrice.objects.select_related("provider"),
            {record.slug: record.base_url for record in providers},
            free=[record.slug for record in providers if record.origin == Origin.DEMO],
        ),
        learnt=_learnt(TokenFactor.objects.all(), options.confirmed),
        listed=MappingProxyType(dict(listed_sizes())),
        refused_options=MappingProxyType(options.refused),
        known_window=known_prices().context_window,
        secret_looks=secret_looks(),
        secrets=kept_secret(
            [secret for config in configs.values() for secret in config.secrets]
            + ([search_engine.credential] if search_engine is not None else [])
        ),
        search_engine=search_engine,
        contact=conf.help_contact or WHOEVER,
        stopped=EmergencyStop.reason_now(),
        anonymous_allowed=anonymous_allowed(conf, bool(keys)),
    )


def anonymous_allowed(conf: GatewayConf, any_key: bool) -> bool:
    """Whether requests without a client key are served: of everybody, or else of this machine itself.

    Of this machine as long as there is no key, and nothing in the settings says that others come, too.
    """
    if conf.keys_required or conf.allow_anonymous:
        return conf.allow_anonymous
    return not (any_key or conf.others_reach_it)


def secret_looks() -> tuple[SecretLook, ...]:
    """What an admin had masked beside the built-in patterns."""
    enabled = SecretPattern.objects.filter(enabled=True)
    return tuple(SecretLook(*values) for values in enabled.values_list("name", "pattern", "literal"))


def _learnt(
    factors: Iterable[TokenFactor], confirmed: Mapping[tuple[str, str], Mapping[str, Any]]
) -> Mapping[tuple[str, str], Mapping[str, Any]]:
    """What answers have taught, as profile options by provider slug and upstream model."""
    learnt: dict[tuple[str, str], Mapping[str, Any]] = {
        (record.provider, record.upstream_model): {
            "token_factor": record.factor,
            "token_letters": record.letters,
            "token_cjk": record.cjk,
            "token_overhead": record.overhead,
        }
        for record in factors
    }
    for target, options in confirmed.items():
        # beside the factors, which are learnt by nobody's leave
        learnt[target] = {**learnt.get(target, {}), **options}
    return MappingProxyType(learnt)


def _search_engine(record: SearchEngine | None) -> SearchEngineConfig | None:
    """An engine whose credential cannot be opened is left out, with a line in the log."""
    if record is None:
        return None
    try:
        credential = record.revealed()
    except EncryptionError as problem:
        logger.error("search engine %s: %s", record.name, problem)
        return None
    return SearchEngineConfig(
        record.name, record.kind, record.base_url, credential, record.max_results, record.timeout
    )


def _key(record: ClientKey, people: Mapping[int, PersonLimits]) -> KeyEntry:
    return KeyEntry(
        id=record.pk,
        name=record.name,
        digest=record.digest,
        owner=record.owner_name,
        owner_id=record.user_id,
        expires_at=record.expires_at.timestamp() if record.expires_at else None,
        revoked=record.revoked_at is not None,
        allowed_models=texts_of(record.allowed_models),
        capture=record.capture,
        limits=limits_of(record),
        owner_active=record.owner_active,
        lineage=record.lineage or 0,
        signed_in=record.origin == Origin.SIGN_IN,
        person=None if record.user_id is None else people.get(record.user_id),
    )
