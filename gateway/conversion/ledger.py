"""The ledger: what a conversion could not carry over unchanged.

A request converted without loss has an empty ledger. The client never sees it; the admin does.

See docs/conversion.md, "The ledger".
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypedDict, get_args

Code = Literal["dropped", "clamped", "renamed", "moved", "replaced", "repaired", "defaulted", "refit"]
CODES: Final[frozenset[str]] = frozenset(get_args(Code))

# A history of thousands of turns must not make a row of megabytes.
MAX_ENTRIES: Final = 200
LONGEST_KIND: Final = 12


class Repair(NamedTuple):
    """What had to be put right in an answer. `kind`: at most LONGEST_KIND characters, for counting."""

    kind: str
    code: Code
    path: str
    note: str


class LedgerEntry(NamedTuple):
    """`path` is the field path in the Anthropic request or answer, `note` one short sentence."""

    code: Code
    path: str
    note: str


class LedgerRow(TypedDict):
    """An entry as it is stored."""

    code: str
    path: str
    note: str


class Ledger:
    """Collects entries in order; beyond MAX_ENTRIES it only counts."""

    __slots__ = ("entries", "omitted")

    def __init__(self) -> None:
        self.entries: list[LedgerEntry] = []
        self.omitted = 0

    def add(self, code: Code, path: str, note: str) -> None:
        if len(self.entries) < MAX_ENTRIES:
            self.entries.append(LedgerEntry(code, path, note))
        else:
            self.omitted += 1

    def dropped(self, path: str, note: str) -> None:
        self.add("dropped", path, note)

    def clamped(self, path: str, note: str) -> None:
        self.add("clamped", path, note)

    def renamed(self, path: str, note: str) -> None:
        self.add("renamed", path, note)

    def moved(self, path: str, note: str) -> None:
        self.add("moved", path, note)

    def replaced(self, path: str, note: str) -> None:
        self.add("replaced", path, note)

    def repaired(self, path: str, note: str) -> None:
        self.add("repaired", path, note)

    def defaulted(self, path: str, note: str) -> None:
        self.add("defaulted", path, note)

    def refit(self, path: str, note: str) -> None:
        self.add("refit", path, note)

    def repair(self, repair: Repair, *, once: bool = False) -> None:
        """A repair of an answer; `once`: it counts once for the whole answer."""
        if not once or all(entry.note != repair.note for entry in self.entries):
            self.add(repair.code, repair.path, repair.note)

    def join(self, more: Ledger) -> None:
        """Add the entries of one part of the conversion; `more` stays as it is."""
        for entry in more.entries:
            self.add(*entry)
        self.omitted += more.omitted

    def as_json(self) -> list[LedgerRow]:
        """For storage and the convert command: a list of {code, path, note}."""
        rows: list[LedgerRow] = [
            {"code": entry.code, "path": entry.path, "note": entry.note} for entry in self.entries
        ]
        if self.omitted:
            note = f"{self.omitted} more entries of this ledger"
            rows.append({"code": "dropped", "path": "", "note": note})
        return rows

    def __bool__(self) -> bool:
        return bool(self.entries)
