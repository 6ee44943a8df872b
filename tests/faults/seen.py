"""What is seen of one cell of the matrix."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Seen:
    """`client` as in catalogue.Outcome; `state` of the row; attempts of the first and the second target."""

    client: str
    state: str
    first: int
    second: int
