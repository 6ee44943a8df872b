"""The matrix of faults for docs/reliability.md, from a run of every cell.

python -m tests.faults.matrix          run all cells, print the table
python -m tests.faults.matrix --write  and put it into docs/reliability.md
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

# what follows needs the apps to be loaded
from tests.faults.catalogue import FORMS, cells, wanted  # noqa: E402
from tests.faults.cell import run_cell  # noqa: E402
from tests.faults.seen import Seen  # noqa: E402

Cell = tuple[str, bool, bool]
PAGE: Final = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN: Final = "<!-- matrix: made by python -m tests.faults.matrix --write -->"
END: Final = "<!-- end of the matrix -->"


def table(rows: Iterator[tuple[str, ...]]) -> str:
    """Rows of equal outcome in both forms are one."""
    head = ("Fault", "Answer", "Client, one target", "Attempts", "Client, two targets", "Attempts")
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def rows(results: Mapping[Cell, Seen]) -> Iterator[tuple[str, ...]]:
    """Answers of a fault, and statuses in several forms, that come to the same are one row."""
    grouped: dict[tuple[str, ...], list[str]] = {}
    for fault, streamed, second in results:
        if second:
            continue
        one, two = results[fault, streamed, False], results[fault, streamed, True]
        name, _, form = fault.partition(" with ") if fault.endswith(tuple(FORMS)) else (fault, "", "")
        if name == "200":
            name, form = fault, ""
        cells = (name, one.client, str(one.first), two.client, f"{two.first} + {two.second}")
        kind = "streamed" if streamed else "whole"
        grouped.setdefault(cells, []).append(f"{kind}, {form}" if form else kind)
    for (name, *cells), kinds in grouped.items():
        every = len(kinds) == 2 * len(FORMS) or kinds == ["streamed", "whole"]
        yield (name, "each" if every else "; ".join(kinds), *cells)


def expected() -> dict[Cell, Seen]:
    """The same from the catalogue, which test_faults.py holds against a run."""
    return {
        (fault.name, streamed, second): wanted(fault, streamed, second) for fault, streamed, second in cells()
    }


async def run() -> dict[Cell, Seen]:
    results: dict[Cell, Seen] = {}
    for fault, streamed, second in cells():
        results[fault.name, streamed, second] = await run_cell(fault, streamed=streamed, second=second)
        print(".", end="", file=sys.stderr, flush=True)
    return results


def main() -> None:
    made = table(rows(asyncio.run(run())))
    if "--write" in sys.argv:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{rest.partition(END)[2]}")
    else:
        print(made)


if __name__ == "__main__":
    main()
