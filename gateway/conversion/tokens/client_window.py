"""Token counts as the client should see them, when it assumes another window than the model has.

Claude Code compacts by itself when the reported input fills most of the window it assumes: 200,000 tokens
for models it knows, 1,000,000 when it asked for the long context. With a model of another size that moment
comes too late, or far too early. Option `client_window` scales the reported input counts by the ratio of
the two windows. Only what the client reads is scaled: history, costs and limits keep the real numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, TypeVar, cast

from gateway.conversion.profile import Profile

USUAL: Final = 200_000
LONG: Final = 1_000_000
_LONG_BETA: Final = "context-1m"
_LONG_SUFFIX: Final = "[1m]"
_INPUT: Final = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


# the usage object of a message, of an event, or the answer of count_tokens
Counts = TypeVar("Counts", bound=Mapping[str, object])


def usage_scale(profile: Profile, model: str, headers: Mapping[str, str]) -> float:
    """The factor for input counts shown to the client; 1.0 when the option is off, or everything passes.

    `model` is the asked one, `headers` the client's, with names in lower case.
    """
    assumed, window = profile.client_window, profile.context_window
    if assumed is None or window is None or profile.protocol == "anthropic":
        return 1.0
    if assumed == "auto":
        long = _LONG_BETA in headers.get("anthropic-beta", "") or model.lower().endswith(_LONG_SUFFIX)
        assumed = LONG if long else USUAL
    return int(assumed) / window


def scaled(usage: Counts, scale: float) -> Counts:
    """The usage object of a message or event for the client; the real one is not changed."""
    if scale == 1.0:
        return usage
    told = dict(usage)
    for name in _INPUT:
        number = told.get(name)
        if type(number) is int:
            told[name] = math.ceil(number * scale)
    return cast(Counts, told)
