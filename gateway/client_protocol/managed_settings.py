"""Managed settings: the policy that a signed-in client reads at each start and about once an hour.

The client computes a checksum over what it stored and sends it with its next read, so the text that is
hashed has to be what JavaScript makes of the settings: keys sorted by UTF-16 units, no white space, numbers
as JavaScript prints them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from gateway.client_protocol.settings_shapes import (
    ANY,
    SETTINGS,
    Leaf,
    Names,
    mistake_in,
    restricts,
    shape_of,
    unknown_names,
)
from gateway.values import frozen

PATH: Final = "/managed/settings"
# what JavaScript keeps of a whole number
SAFE: Final = 2**53 - 1
DEEPEST: Final = 30
LARGEST: Final = 256 * 1024


@frozen
class Document:
    """What the client gets. `checksum`: sha256:HEX over `settings` in canonical form."""

    settings: dict[str, Any]
    checksum: str

    @property
    def etag(self) -> str:
        return f'"{self.checksum}"'

    def body(self) -> dict[str, Any]:
        return {
            "uuid": f"policy-{self.checksum.removeprefix('sha256:')[:32]}",
            "checksum": self.checksum,
            "settings": self.settings,
        }


def document(policies: Iterable[Mapping[str, Any]]) -> Document:
    """The settings of several policies, the later ones over the earlier."""
    merged: dict[str, Any] = {}
    for settings in policies:
        merged = merged_settings(merged, settings)
    return Document(merged, checksum(merged))


def merged_settings(
    below: Mapping[str, object], above: Mapping[str, object], shape: Names | None = SETTINGS
) -> dict[str, Any]:
    """Objects are merged key by key, and lists that restrict are joined; of anything else `above` wins.

    What the client would drop is left out, so that no mistake above takes away a rule from below. Numbers and
    switches of `env` become the texts that the client makes of them, so that it hashes what we hash. `shape`
    None: an object that the table of shapes does not know.
    """
    merged: dict[str, Any] = dict(below)
    for name, value in above.items():
        before = merged.get(name)
        expected = None if shape is None else shape_of(name, shape)
        joined = expected.joined if isinstance(expected, Leaf) else expected is None and restricts(name)
        # a list that restricts is replaced by nothing; of a known one nothing else is a value
        stays = joined and (isinstance(before, list) or expected is not None)
        if isinstance(expected, Leaf) and not joined and not expected.fits(value):
            continue
        if joined and isinstance(value, list) and not isinstance(before, dict):
            held = before if isinstance(before, list) else []
            merged[name] = _joined(held, value, expected if isinstance(expected, Leaf) else ANY)
        elif isinstance(value, dict) and not stays:
            known = expected if isinstance(expected, Names) else None
            merged[name] = merged_settings(before if isinstance(before, dict) else {}, value, known)
        elif not (stays or isinstance(expected, Names) or isinstance(before, dict)):
            coerced = isinstance(expected, Leaf) and expected.coerced and not isinstance(value, str)
            merged[name] = canonical(value) if coerced else value
    return merged


def _joined(held: list[Any], more: list[Any], expected: Leaf) -> list[Any]:
    """The entries of both lists, each once."""
    entries = {canonical(one): one for one in held}
    for one in more:
        if expected.fits([one]):
            entries.setdefault(canonical(one), one)
    return list(entries.values())


def checksum(settings: Mapping[str, object]) -> str:
    """As the client computes it."""
    return "sha256:" + hashlib.sha256(canonical(settings).encode()).hexdigest()


def canonical(value: object) -> str:
    """JSON as JavaScript writes it, with sorted keys and without white space."""
    if isinstance(value, Mapping):
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{_text(name)}:{canonical(value[name])}" for name in names) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, float):
        return _number(value)
    return _text(value) if isinstance(value, str) else json.dumps(value)


def problem_of(settings: object) -> str:
    """Why these settings cannot be a policy, in a few words; "" if they can."""
    if not isinstance(settings, dict):
        return "not an object"
    try:
        problem = _problem(settings, DEEPEST) or mistake_in(settings)
        return problem or ("too large" if len(canonical(settings)) > LARGEST else "")
    except (RecursionError, UnicodeEncodeError):
        return "nested too deeply or not text"


def warnings_of(settings: Mapping[str, object]) -> list[str]:
    """Names at every level without a known effect, and those that work in the machine's own file alone."""
    return sorted(unknown_names(settings))


def _problem(value: Any, deepest: int) -> str:
    if deepest == 0:
        return "nested too deeply"
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, float):
        return "" if value == value and abs(value) != float("inf") else "a number that is not one"
    elif isinstance(value, int) and not isinstance(value, bool):
        return "" if abs(value) <= SAFE else "a number of too many digits"
    elif isinstance(value, list):
        return next((found for one in value if (found := _problem(one, deepest - 1))), "")
    elif isinstance(value, dict):
        for name, one in value.items():
            name.encode()
            if found := _problem(one, deepest - 1):
                return found
    return ""


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _number(value: float) -> str:
    """A float as JavaScript prints it: shortest digits, 1 for 1.0, exponents from 1e21 and below 1e-6."""
    if value == 0:
        return "0"
    sign, digits, exponent = ("-" if value < 0 else ""), *_scientific(abs(value))
    places = len(digits)
    if places <= exponent <= 21:
        return sign + digits + "0" * (exponent - places)
    if 0 < exponent <= 21:
        return f"{sign}{digits[:exponent]}.{digits[exponent:]}"
    if -6 < exponent <= 0:
        return f"{sign}0.{'0' * -exponent}{digits}"
    power = exponent - 1
    tail = f".{digits[1:]}" if places > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'+' if power > 0 else '-'}{abs(power)}"


def _scientific(value: float) -> tuple[str, int]:
    """The shortest digits, and where the point stands behind the first of them."""
    mantissa, _, power = f"{value!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = whole + fraction
    exponent = len(whole) + int(power or 0)
    stripped = digits.lstrip("0")
    return stripped.rstrip("0"), exponent - (len(digits) - len(stripped))
