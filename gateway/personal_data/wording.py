"""Rewording: a person's names are taken out of one value, in the way its field writes names.

Somebody may be called like a provider, a model or a word. So a name goes only from the fields that
`places.Place.named` lists, and from conditions and queries only where they name a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode

# a shorter name is taken out of the records that are about the person, and nowhere else
_DISTINCT: Final = 3
_JOINING: Final = "-_.@"
# parameters of a saved view that may name a person: its owners, and the words it looks for
_NAMING: Final = frozenset({"owner", "q"})


class Person(NamedTuple):
    """Whose names go, and what stands there afterwards.

    `names`: the longest first. `keys`: {what a key was called: what it is called now}, without names that
    keys of others have, too.
    """

    names: tuple[str, ...]
    instead: str
    mail: str = ""
    keys: Mapping[str, str] = {}

    @property
    def distinct(self) -> list[str]:
        """The names that are long enough to look for in texts about anything."""
        return [name for name in self.names if len(name) >= _DISTINCT]

    @property
    def unmistakable(self) -> list[str]:
        """The names that are more than one word: nothing but a person or their key is called so."""
        return [name for name in self.distinct if " " in name or "@" in name]


def longest_first(names: Iterable[str]) -> tuple[str, ...]:
    """The names without blanks and repetitions, in the order in which `without` needs them."""
    return tuple(
        sorted({name.strip() for name in names if name.strip()}, key=lambda name: (-len(name), name))
    )


def without(text: str, names: Iterable[str], instead: str) -> str:
    """`text` with `instead` where one of `names` stands as a whole word."""
    for name in names:
        start = 0
        while (at := text.find(name, start)) >= 0:
            end = at + len(name)
            if _joins(text[at - 1 : at]) or _joins(text[end : end + 1], text[end + 1 : end + 2]):
                start = end
            else:
                text = text[:at] + instead + text[end:]
                start = at + len(instead)
    return text


def _joins(character: str, behind: str = "x") -> bool:
    """Whether a character makes one word with what it stands beside. A full stop ends a sentence, too."""
    if not character:
        return False
    return character.isalnum() or (character in _JOINING and (behind.isalnum() or character != "."))


def reworded(label: str, field: str, value: Any, person: Person) -> Any:
    """The value of a field that may name a person. `label`: its model's, such as gateway.Dataset."""
    return _WAYS.get((label, field), _text)(value, person)


def is_plain(label: str, field: str) -> bool:
    """Whether a field is a text in which names stand as they are, so that a database finds them."""
    return (label, field) not in _WAYS


def _text(value: Any, person: Person) -> Any:
    return without(value, person.distinct, person.instead) if isinstance(value, str) else value


def _owner(value: Any, person: Person) -> Any:
    """A field that holds the name of an owner, and nothing else."""
    known = {name.casefold() for name in person.names}
    return person.instead if isinstance(value, str) and value.strip().casefold() in known else value


def _condition(when: Any, person: Person) -> Any:
    """A mapping's conditions: only `owner` and `key` name people; a header or a tool may have any name."""
    if not isinstance(when, dict):
        return when
    keys = {was.casefold(): now for was, now in person.keys.items()}
    told = dict(when)
    if isinstance(when.get("owner"), list):
        told["owner"] = _once(_owner(one, person) for one in when["owner"])
    if isinstance(when.get("key"), list):
        told["key"] = _once(
            keys.get(one.strip().casefold(), one) if isinstance(one, str) else one for one in when["key"]
        )
    return told


def _once(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    found.extend(value for value in values if value not in found)
    return found


def _query(query: Any, person: Person) -> Any:
    """The query string of a saved view, whose values are quoted."""
    if not isinstance(query, str):
        return query
    given = parse_qsl(query, keep_blank_values=True)
    told = [(name, _text(value, person) if name in _NAMING else value) for name, value in given]
    return query if told == given else urlencode(told)


def _addresses(value: Any, person: Person) -> Any:
    if not isinstance(value, list) or not person.mail:
        return value
    return [one for one in value if not isinstance(one, str) or one.lower() != person.mail.lower()]


_WAYS: Final[Mapping[tuple[str, str], Callable[[Any, Person], Any]]] = {
    ("gateway.ModelMapping", "when"): _condition,
    ("gateway.SavedView", "query"): _query,
    ("gateway.NotificationChannel", "addresses"): _addresses,
    ("gateway.ClientKey", "owner"): _owner,
}
