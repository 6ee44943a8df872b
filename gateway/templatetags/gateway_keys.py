"""Template tags of the pages of client keys."""

from __future__ import annotations

import csv
import io

from django import template

register = template.Library()


@register.simple_tag
def csv_row(*values: str) -> str:
    """One line of a CSV file, without its end; what a spreadsheet would compute is made text."""
    out = io.StringIO()
    csv.writer(out).writerow([f"'{value}" if value[:1] in tuple("=+-@\t\r") else value for value in values])
    return out.getvalue().rstrip("\r\n")
