"""What the history's templates say in numbers and links."""

from __future__ import annotations

from django import template

from gateway.admin.requests import request_cells
from gateway.admin.ui import html_format

register = template.Library()

register.simple_tag(html_format.ago, name="ago")
register.simple_tag(html_format.milliseconds, name="ms")
register.simple_tag(html_format.dollars, name="dollars")
register.simple_tag(html_format.number, name="number")
register.simple_tag(request_cells.link, name="request_link")
register.simple_tag(request_cells.state, name="request_state")
register.simple_tag(request_cells.cost, name="request_cost")
register.simple_tag(request_cells.tokens, name="request_tokens")
register.simple_tag(request_cells.tools, name="request_tools")


@register.simple_tag
def percent(part: float, whole: float) -> str:
    """`part` of `whole` for a stylesheet."""
    return f"{100 * part / whole:.2f}" if whole else "0"
