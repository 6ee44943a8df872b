"""What the environment says and does not decide, because an admin decided otherwise; in sentences for people.

Who wins, by kind of record: the environment its own records, an admin those that were taken over, and an
admin who revoked its key (docs/operations.md, "Who wins").
"""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _

from gateway.conf import GatewayConf
from gateway.config.startup.environment import KEY_NAME, PROVIDER_KEY, rules
from gateway.models import ClientKey, ModelMapping, Origin, Provider
from gateway.security import client_keys


def overridden(conf: GatewayConf) -> Iterator[str]:
    """A sentence for each; nothing where both say the same. `conf`: with living defaults."""
    provider = Provider.objects.filter(environment_key=PROVIDER_KEY).first()
    if conf.upstream_configured and provider is not None:
        if provider.origin != Origin.ENVIRONMENT:
            text = _(
                "%(name)s was taken over in the admin; OPENAI_* and *_MODEL in .env no longer change it."
            )
            yield text % {"name": provider.name}
        else:
            yield from _mappings(conf)
    yield from _key(conf)


def _mappings(conf: GatewayConf) -> Iterator[str]:
    wanted = rules(conf)
    taken_over = ModelMapping.objects.exclude(environment_key="").exclude(origin=Origin.ENVIRONMENT)
    for mapping in taken_over.order_by("position", "pk"):
        model, values = wanted.get(mapping.environment_key, ("", {}))
        leads = ", ".join(target.upstream_model for target in mapping.targets.all() if target.enabled)
        if model and leads != model:
            text = _(
                "The mapping %(pattern)s was taken over in the admin and leads to %(model)s; %(variable)s in "
                ".env no longer changes it."
            )
            facts = {"pattern": mapping.pattern, "model": leads or "-", "variable": values["note"]}
            yield text % facts


def _key(conf: GatewayConf) -> Iterator[str]:
    if not conf.anthropic_api_key:
        return
    digest = client_keys.digest(conf.anthropic_api_key)
    record = ClientKey.objects.filter(digest=digest).first()
    if record is not None and record.state() != "active":
        text = _(
            "%(variable)s in .env is refused: the client key %(name)s was revoked, or has expired, in the "
            "admin. Give the variable another value."
        )
        yield text % {"variable": KEY_NAME, "name": record.name}
