"""Template tags: what the admin's index says about the state of the setup."""

from __future__ import annotations

from typing import Any

from django import template

from gateway.conf import gateway_conf
from gateway.config.startup import demo

register = template.Library()


@register.inclusion_tag("admin/gateway/setup_notice.html")
def setup_notice() -> dict[str, Any]:
    """A plain notice while only the demo answers, or secrets cannot be stored."""
    conf = gateway_conf()
    return {"demo_only": demo.demo_only(), "no_encryption_key": not conf.field_encryption_keys}
