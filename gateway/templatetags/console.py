"""Template tags: the bar above a list that names its filters, and the views that are saved of it."""

from __future__ import annotations

from typing import Any, Final

from django import template

from gateway.admin.requests import saved_views
from gateway.admin.requests.query_language import FIELDS

register = template.Library()
# filters whose choices are many: they can be looked through by typing
_MANY: Final = 12


@register.inclusion_tag("admin/gateway/filter_bar.html", takes_context=True)
def filter_bar(context: dict[str, Any], changelist: Any, page: str) -> dict[str, Any]:
    """Chips of what is filtered, a menu for each filter, and saved views."""
    request = context["request"]
    chips, menus = [], []
    for spec in changelist.filter_specs:
        if not getattr(spec, "is_offered", lambda: True)():
            continue
        every, *choices = spec.choices(changelist)
        chosen = [choice for choice in choices if choice["selected"]]
        single = not getattr(spec, "multiple", False)
        chips += [
            {
                "title": spec.title,
                "value": choice["display"],
                # a choice of several takes itself away
                "remove": every["query_string"] if single else choice["query_string"],
            }
            for choice in chosen
        ]
        many = len(choices) > _MANY
        counted = spec.parameter_name if getattr(spec, "counted", "") else ""
        menus.append(
            {"title": spec.title, "choices": choices, "active": bool(chosen), "many": many, "of": counted}
        )
    return {
        "request": request,
        "csrf_token": context.get("csrf_token"),
        "chips": chips,
        "menus": menus,
        "clear": "?",
        "page": page,
        "views": saved_views.views(request, page),
        "query": request.GET.urlencode(),
    }


@register.simple_tag
def query_fields() -> list[dict[str, Any]]:
    """The names of the search language with their values, for the completion."""
    return [
        {"name": name, "title": str(field.title), "values": field.examples} for name, field in FIELDS.items()
    ]
