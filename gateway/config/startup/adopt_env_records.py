"""An admin takes over records of the environment."""

from __future__ import annotations

from django.db import transaction

from gateway.conf import GatewayConf, gateway_conf
from gateway.config.presets.recognise import check_environments_address
from gateway.models import ModelMapping, Origin, Provider


def take_over_provider(provider: Provider, conf: GatewayConf | None = None) -> int:
    """Copy everything the environment gives into the record, credential and headers included.

    Its mappings from the environment come along, or they would vanish with the
    variables. Returns how many did. From now on the environment changes none of
    them. Raises encryption.UnusableKey when secrets cannot be stored,
    and SavedElsewhere when the record does not lead to OPENAI_BASE_URL.
    """
    conf = conf or gateway_conf()
    check_environments_address(provider.base_url, conf)
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
    """From now on the environment leaves this mapping alone."""
    mapping.origin = Origin.ADMIN
    mapping.save(update_fields=["origin"])
