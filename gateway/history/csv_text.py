"""Rows as CSV for spreadsheets, which run none of the texts as formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Final

# a spreadsheet takes a text that begins so for a formula
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv_text(rows: Iterable[Iterable[object]], end: str = "\r\n") -> str:
    """One line for each row, ended with `end`. None is an empty cell."""
    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    # where the comma is the decimal separator, a spreadsheet divides at semicolons
    return ";".join(map(_inert, value.split(";"))) if ";" in value else _inert(value)


def _inert(text: str) -> str:
    # a sign alone is not a formula
    return f"'{text}" if len(text) > 1 and text.lstrip(' "').startswith(_FORMULA) else text
