"""Template tags of the pages of client keys."""

from __future__ import annotations

from django import template

from gateway.history.csv_text import csv_text

register = template.Library()


@register.simple_tag
def csv_row(*values: str) -> str:
    """One line of a CSV file, without its end."""
    return csv_text([values], end="")
