"""Providers as the request path needs them: with their credentials and headers in clear text."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from gateway.conf import GatewayConf
from gateway.config.presets.presets import preset, usable_options
from gateway.config.presets.recognise import check_environments_address
from gateway.models import Origin, Provider, ProviderCredential
from gateway.routing.network_path import NetworkPath, UnusableProxy
from gateway.routing.snapshot import Credential, ProviderConfig, SetAside
from gateway.security.encryption import EncryptionError

logger = logging.getLogger(__name__)


def provider_config(record: Provider, conf: GatewayConf) -> ProviderConfig:
    """One provider. A credential that cannot be opened is left out, with a line in the log.

    A record that is not stored yet has no credentials.
    """
    chosen = preset(record.preset)
    credentials, unreadable = _credentials(record, conf)
    headers, headers_unreadable = _headers(record, conf)
    network, network_unreadable = _network(record)
    options = options_of(record.options, f"provider {record.name}")
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
        query=MappingProxyType(_query(record)),
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


def _query(record: Provider) -> dict[str, str]:
    if isinstance(record.query, dict):
        return {name: str(value) for name, value in record.query.items()}
    logger.error("provider %s: its query parameters are no object and are left out", record.name)
    return {}


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


def options_of(stored: Any, where: str) -> Mapping[str, Any]:
    options = usable_options(stored)
    if options != stored:
        logger.error(
            "%s: profile options that this version does not know are left out; open and save it", where
        )
    return MappingProxyType(options)
