"""Comparing with the expectations of tests/vectors (docs/conversion.md, "Cases and vectors")."""

import json
import re
from pathlib import Path

VECTORS = Path(__file__).parent.parent / "vectors"
PLACEHOLDERS = {
    "$MSG_ID": lambda value: value.startswith("msg_"),
    "$TOOL_ID": lambda value: value.startswith("toolu_"),
    "$SIG": lambda value: isinstance(value, str) and value != "",
    "$GW1_ID": lambda value: re.fullmatch(r"[A-Za-z0-9_-]+_gw1_[A-Za-z0-9_-]+", value),
    "$INT": lambda value: type(value) is int and value >= 0,
    "$POSINT": lambda value: type(value) is int and value >= 1,
    "$STR": lambda value: isinstance(value, str),
    "$ANY": lambda value: True,
}


def load(pattern):
    """The vectors whose file names match, by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(VECTORS.glob(pattern))}


def differences(expected, actual, path=""):
    """Where `actual` is not what is expected: objects as subsets, lists in length and order."""
    if isinstance(expected, str) and expected in PLACEHOLDERS:
        return [] if PLACEHOLDERS[expected](actual) else [f"{path}: {actual!r} is no {expected}"]
    if isinstance(expected, dict) and isinstance(actual, dict):
        missing = [f"{path}/{name}: missing" for name in expected if name not in actual]
        return missing + [
            found
            for name in expected
            if name in actual
            for found in differences(expected[name], actual[name], f"{path}/{name}")
        ]
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = enumerate(zip(expected, actual, strict=True))
        return [found for n, (one, other) in pairs for found in differences(one, other, f"{path}/{n}")]
    same = type(expected) is type(actual) and expected == actual
    return [] if same else [f"{path}: {actual!r} instead of {expected!r}"]


def exists(body, pointer):
    """Whether a JSON pointer leads somewhere."""
    for step in pointer.split("/")[1:]:
        try:
            body = body[int(step)] if isinstance(body, list) else body[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True
