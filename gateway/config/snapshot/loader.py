"""load(): all configuration records as one frozen snapshot; the only reader of them at run time."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from django.db.models import Prefetch

from gateway import patterns
from gateway.conf import GatewayConf, gateway_conf
from gateway.config.learnt_options import decided
from gateway.config.presets.presets import preset, usable_options
from gateway.config.presets.recognise import check_environments_address
from gateway.config.snapshot.catalogue import known_prices
from gateway.config.snapshot.model_sizes import listed_sizes
from gateway.config.snapshot.people import (
    groups_of_people,
    named_groups,
    people_limits,
    policies,
    safeguard_rules,
)
from gateway.config.snapshot.prices import price_book
from gateway.config.snapshot.shares import shares_of_mapping
from gateway.models import (
    ClientKey,
    ConfigStamp,
    EmergencyStop,
    MappingTarget,
    ModelMapping,
    ModelPrice,
    Origin,
    Provider,
    ProviderCredential,
    Ramp,
    SearchEngine,
    SecretPattern,
    Shadow,
    TokenFactor,
)
from gateway.models.configuration.condition_words import zone_of
from gateway.models.configuration.ramp import ACTIVE
from gateway.routing import names
from gateway.routing.conditions import Condition, condition_of
from gateway.routing.network_path import NetworkPath, UnusableProxy
from gateway.routing.secret_forms import kept_secret
from gateway.routing.snapshot import (
    WHOEVER,
    ConfigSnapshot,
    Credential,
    KeyEntry,
    KeyLimits,
    MappingRule,
    PersonLimits,
    ProviderConfig,
    SearchEngineConfig,
    SecretLook,
    SetAside,
    ShadowRule,
    Target,
)
from gateway.security.encryption import EncryptionError, seal_keys

logger = logging.getLogger(__name__)

_TRIES: Final = 5
# budgets are counted in billionths of a dollar
BILLION: Final = 1_000_000_000


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


def mapping_rules() -> tuple[MappingRule, ...]:
    """The rules that the stored mappings make, in order; the demo's is off when something real serves."""
    targets = Prefetch("targets", MappingTarget.objects.select_related("provider"))
    ramps = Prefetch("ramps", Ramp.objects.filter(state__in=ACTIVE))
    shadows = Prefetch("shadow", Shadow.objects.filter(enabled=True).select_related("provider"))
    mappings = list(ModelMapping.objects.prefetch_related(targets, ramps, shadows))
    demo_wanted = not any(_serves(mapping) for mapping in mappings)
    return tuple(_rule(mapping, demo_wanted) for mapping in mappings)


def _read(stamp: int, conf: GatewayConf) -> ConfigSnapshot:
    providers = list(Provider.objects.prefetch_related("credentials"))
    rules = mapping_rules()
    keys = list(ClientKey.objects.select_related("user"))
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


def _serves(mapping: ModelMapping) -> bool:
    """Whether a mapping leads to a real provider, so that the demo is not needed."""
    return mapping.enabled and any(
        target.enabled and target.provider.enabled and target.provider.origin != Origin.DEMO
        for target in mapping.targets.all()
    )


def provider_config(record: Provider, conf: GatewayConf) -> ProviderConfig:
    """One provider as the request path needs it, with its credentials and headers in clear text.

    A record that is not stored yet has no credentials.
    """
    chosen = preset(record.preset)
    credentials, unreadable = _credentials(record, conf)
    headers, headers_unreadable = _headers(record, conf)
    network, network_unreadable = _network(record)
    options = _options(record.options, f"provider {record.name}")
    return ProviderConfig(
        slug=record.slug,
        name=record.name,
        base_url=record.base_url.rstrip("/"),
        protocol=options.get("protocol") or chosen.protocol,
        auth=record.auth,
        credentials=credentials,
        credential_unreadable=(unreadable and not credentials) or headers_unreadable or network_unreadable,
        headers=MappingProxyType({**chosen.headers, **headers}),
        own_headers=tuple(headers.values()),
        query=MappingProxyType(dict(record.query)),
        connect_timeout=record.connect_timeout,
        first_byte_timeout=record.first_byte_timeout,
        silence_timeout=record.silence_timeout,
        max_retries=record.max_retries,
        preset_options=chosen.options,
        model_rules=chosen.model_rules,
        options=options,
        link_local=conf.allow_link_local,
        network=network,
        ratelimit_prefix=chosen.ratelimit_prefix,
        enabled=record.enabled,
        demo=record.origin == Origin.DEMO,
        brought_back=record.brought_back_at.timestamp() if record.brought_back_at else None,
    )


def _credentials(record: Provider, conf: GatewayConf) -> tuple[tuple[Credential, ...], bool]:
    """The enabled credentials in their order, and whether one of them cannot be opened."""
    opened: list[Credential] = []
    unreadable = False
    for credential in record.credentials.all() if record.pk else ():
        if not credential.enabled:
            continue
        try:
            value = _value(credential, conf)
        except EncryptionError as problem:
            logger.error("provider %s, %s: %s", record.name, credential.shown_label, problem)
            unreadable = True
            continue
        if value:
            opened.append(
                Credential(
                    credential.pk,
                    credential.shown_label,
                    value,
                    credential.position,
                    _set_aside(credential),
                )
            )
    return tuple(opened), unreadable


def _value(credential: ProviderCredential, conf: GatewayConf) -> str:
    if credential.origin == Origin.ENVIRONMENT:
        check_environments_address(credential.destination("value"), conf)
        return conf.openai_api_key
    return credential.revealed()


def _set_aside(credential: ProviderCredential) -> SetAside | None:
    if credential.set_aside_since is None:
        return None
    until = credential.set_aside_until
    return SetAside(
        since=credential.set_aside_since.timestamp(),
        until=until.timestamp() if until else None,
        status=credential.set_aside_status,
        reason=credential.set_aside_reason,
    )


def _headers(record: Provider, conf: GatewayConf) -> tuple[Mapping[str, str], bool]:
    """The extra headers, and whether they cannot be opened."""
    try:
        if record.origin == Origin.ENVIRONMENT:
            if conf.custom_headers:
                check_environments_address(record.destination("headers"), conf)
            return conf.custom_headers, False
        return record.revealed_headers(), False
    except (EncryptionError, ValueError) as problem:
        logger.error("provider %s: %s", record.name, problem)
        return {}, True


def _network(record: Provider) -> tuple[NetworkPath | None, bool]:
    """How the provider is reached, and whether a secret that the way needs cannot be opened."""
    try:
        return record.network_path(), False
    except (EncryptionError, UnusableProxy) as problem:
        logger.error("provider %s: %s", record.name, problem)
    try:
        # the provider is not asked; if it were, then by no other way
        return record.network_path_without_secrets(), True
    except UnusableProxy:
        return None, True


def _rule(mapping: ModelMapping, demo_wanted: bool) -> MappingRule:
    wildcard = names.is_wildcard(mapping.pattern)
    return MappingRule(
        id=mapping.pk,
        pattern=mapping.pattern,
        exact=not wildcard,
        targets=tuple(
            Target(
                target.provider.slug,
                target.upstream_model,
                target.model_family,
                target.enabled,
                target.weight,
            )
            for target in mapping.targets.all()
        ),
        salt=mapping.salt,
        shares=shares_of_mapping(mapping),
        shadow=_shadow(mapping),
        position=mapping.position,
        context_window=mapping.context_window,
        max_output_tokens=mapping.max_output_tokens,
        min_output_tokens=mapping.min_output_tokens,
        options=_options(mapping.options, f"mapping {mapping.pattern}"),
        public_names=_texts(mapping.public_names),
        note=mapping.note,
        enabled=mapping.enabled and (demo_wanted or mapping.origin != Origin.DEMO),
        condition=_condition(mapping),
        skips_blind=mapping.skips_blind,
        regex=patterns.wildcard(mapping.pattern) if wildcard else None,
    )


def _condition(mapping: ModelMapping) -> Condition:
    condition = condition_of(mapping.when, zone_of)
    if condition.flaw is not None:
        logger.error("mapping %s: takes no request: %s", mapping.pattern, condition.flaw)
    return condition


def _shadow(mapping: ModelMapping) -> ShadowRule | None:
    record: Shadow | None = getattr(mapping, "shadow", None)
    if record is None or not record.enabled:
        return None
    target = Target(record.provider.slug, record.upstream_model)
    return ShadowRule(
        target, record.share / 100, float(record.daily_cap), record.concurrency, record.released
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
        allowed_models=_texts(record.allowed_models),
        capture=record.capture,
        limits=_limits(record),
        owner_active=record.owner_active,
        lineage=record.lineage or 0,
        signed_in=record.origin == Origin.SIGN_IN,
        person=None if record.user_id is None else people.get(record.user_id),
    )


def _limits(record: ClientKey) -> KeyLimits | None:
    limits = KeyLimits(
        requests_per_minute=record.requests_per_minute,
        input_tokens_per_minute=record.input_tokens_per_minute,
        output_tokens_per_minute=record.output_tokens_per_minute,
        concurrent_requests=record.concurrent_requests,
        budget_period=record.budget_period,
        spend_budget=None if record.spend_budget is None else int(record.spend_budget * BILLION),
        token_budget=record.token_budget,
    )
    return None if limits == KeyLimits(budget_period=record.budget_period) else limits


def _options(stored: Any, where: str) -> Mapping[str, Any]:
    options = usable_options(stored)
    if options != stored:
        logger.error(
            "%s: profile options that this version does not know are left out; open and save it", where
        )
    return MappingProxyType(options)


def _texts(values: Any) -> tuple[str, ...]:
    if isinstance(values, str):
        # one where a list is meant: its letters are no names, and one of them may be *
        return (values,)
    return tuple(str(value) for value in values)
