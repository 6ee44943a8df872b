"""Template tags: what the admin's index says about the state of the setup, and what a member has."""

from __future__ import annotations

from typing import Any

from django import template

from gateway.admin.home.member_home import member_home
from gateway.admin.home.setup_steps import PERMISSION, setup_steps
from gateway.conf import gateway_conf
from gateway.config.startup import demo
from gateway.config.startup.client_setup_text import base_url

register = template.Library()


@register.inclusion_tag("admin/gateway/setup_notice.html", takes_context=True)
def setup_notice(context: dict[str, Any]) -> dict[str, Any]:
    """The steps to the first answer until all are done, and a notice while secrets cannot be stored."""
    steps = setup_steps() if context["request"].user.has_perm(PERMISSION) else []
    return {
        "steps": steps,
        "done": sum(step.done for step in steps),
        "next": next((step for step in steps if not step.done), None),
        "demo_only": bool(steps) and demo.demo_only(),
        "no_encryption_key": not gateway_conf().field_encryption_keys,
    }


@register.inclusion_tag("admin/gateway/member_home.html", takes_context=True)
def own_home(context: dict[str, Any]) -> dict[str, Any]:
    """What the person has who looks at the page."""
    request = context["request"]
    address = base_url(gateway_conf(), request.build_absolute_uri("/"))
    return {"home": member_home(request.user, address)}
