"""What secrets look like, and which patterns a text may match (pure).

Each pattern has literals, and only a text that contains one of them is searched closely, so a text
without secrets costs a few substring searches.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from gateway.patterns import Pattern as Expression
from gateway.patterns import compiled
from gateway.patterns.linear import LinearPattern, NotLinear
from gateway.routing.snapshot import SecretLook

logger = logging.getLogger("gateway.history")


class Value:
    """A secret that is known by its value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        place = text.find(self._value)
        while place >= 0:
            end = place + len(self._value)
            yield place, end
            place = text.find(self._value, end)


class Pattern(NamedTuple):
    """`literals`: every match contains one of them (none: each text is searched). A group 1 is what is
    masked.

    `in_json`: whatever it matches in a text it matches in the text's JSON too, so most texts need no closer
    look. `with_digit`: the masked part contains a digit, because a long name looks the same otherwise;
    requiring it in the expression would mean to look through a word from each place in it. `regex` None: it
    cannot run, and a text that may match it is masked as a whole.
    """

    name: str
    regex: Expression[str] | LinearPattern | Value | None
    literals: tuple[bytes, ...]
    in_json: bool = False
    with_digit: bool = False


def _built_in(name: str, regex: str, *literals: str, with_digit: bool = False) -> Pattern:
    return Pattern(
        name,
        compiled(regex),
        tuple(literal.encode() for literal in literals),
        # In JSON text the key may follow the `n` of an escaped newline (`\n`).
        in_json=name != "api-key",
        with_digit=with_digit,
    )


# bytes that are taken apart in one call: what it takes to hold the parts is bounded
SLICE: Final = 256 * 1024
# bytes for each part, on average, below which it is quicker to look for each literal
_DENSE: Final = 12

_PLAIN: Final = compiled(r"[A-Za-z0-9_.=+-]++")
# line ends, raw or escaped
_ENDS: Final = r"(?:\\[nr]|\s)"
_WORD: Final = "[A-Za-z0-9_-]"
BUILT_IN: Final = (
    _built_in("anthropic-key", r"sk-ant-[A-Za-z0-9_-]{20,}", "sk-ant-"),
    _built_in("api-key", rf"sk-(?<![A-Za-z0-9]sk-){_WORD}{{20,}}+", "sk-", with_digit=True),
    _built_in("gateway-key", r"ccp_[A-Za-z0-9_-]{20,}", "ccp_"),
    _built_in("aws-key", r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])", "AKIA", "ASIA"),
    _built_in(
        "aws-secret",
        r"(?i:secret_?access_?key)[\"'\\]*+\s*+[=:]\s*+[\"'\\]*+([A-Za-z0-9/+=]{40})(?![A-Za-z0-9/+=])",
        "ecret_access_key", "ECRET_ACCESS_KEY", "ecretAccessKey",
    ),
    _built_in("github-token", r"gh[pousr]_[A-Za-z0-9]{36,}", "ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    _built_in("github-token", r"github_pat_[A-Za-z0-9_]{40,}", "github_pat_"),
    _built_in("gitlab-token", r"glpat-[A-Za-z0-9_-]{20,}", "glpat-"),
    _built_in("slack-token", r"xox[abeprs]-[A-Za-z0-9-]{10,}", *(f"xox{kind}-" for kind in "abeprs")),
    _built_in("google-key", r"AIza[A-Za-z0-9_-]{35}", "AIza"),
    _built_in("stripe-key", r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}", "k_live_", "k_test_"),
    _built_in("groq-key", r"gsk_[A-Za-z0-9]{40,}", "gsk_"),
    _built_in("huggingface-token", r"hf_[A-Za-z0-9]{30,}", "hf_"),
    _built_in("npm-token", r"npm_[A-Za-z0-9]{36,}", "npm_"),
    _built_in(
        "jwt",
        # from the first eyJ of a word: no later one has more after it
        rf"(?<!{_WORD})(?>{_WORD}*?(?=eyJ))({_WORD}{{11,}}+\.eyJ{_WORD}{{8,}}+\.{_WORD}{{8,}}+)",
        ".eyJ",
    ),
    _built_in(
        "private-key",
        rf"-----BEGIN [A-Z0-9 ]{{0,40}}PRIVATE KEY(?: BLOCK)?-----{_ENDS}*+"
        rf"(?>[A-Za-z-]{{1,40}}+: [^\n\\]{{0,400}}+{_ENDS}++){{0,20}}+"
        rf"(?>[A-Za-z0-9+/=]{{16,}}+{_ENDS}*+)++[A-Za-z0-9+/=]*+{_ENDS}*+"
        r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?",
        "PRIVATE KEY",
    ),
    _built_in(
        "authorization",
        r"(?i:uthorization|x-api-key)[\"'\\]*+\s*+[:=]\s*+[\"'\\]*+(?i:bearer |basic )?"
        r"([A-Za-z0-9._~+/=-]{20,}+)",
        "uthorization", "UTHORIZATION", "-api-key", "-Api-Key", "-API-Key", "-API-KEY",
        with_digit=True,
    ),
    _built_in("password", r"://[^\s/:@\"'<>\\]{1,80}:([^\s/:@\"'<>\\]{3,200})@", "://"),
)  # fmt: skip


def names(looks: Iterable[SecretLook] = ()) -> list[str]:
    """The name of what is masked, for people."""
    return list(dict.fromkeys([*(pattern.name for pattern in BUILT_IN), *(look.name for look in looks)]))


class _Plain:
    """Literals that are searched for one by one."""

    def __init__(self) -> None:
        self._literals: dict[bytes, list[Pattern]] = {}

    def add(self, literal: bytes, pattern: Pattern) -> None:
        self._literals.setdefault(literal, []).append(pattern)

    def patterns(self, text: bytes) -> list[Pattern]:
        return [
            pattern for literal, patterns in self._literals.items() if literal in text for pattern in patterns
        ]


class _Divided:
    """Literals that contain a divider: one split rules out all of them in most texts.

    Searching for 25 short literals one by one takes three times as long.
    """

    def __init__(self, divider: bytes) -> None:
        self.divider = divider
        # what precedes a divider in a literal -> the literals
        self._ends: dict[bytes, _Plain] = {}
        self._every: tuple[bytes, ...] = ()

    def add(self, literal: bytes, pattern: Pattern) -> None:
        end = max(literal.split(self.divider)[:-1], key=len)
        self._ends.setdefault(end, _Plain()).add(literal, pattern)
        self._every = tuple(self._ends)

    def patterns(self, text: bytes) -> list[Pattern]:
        every = self._every
        parts = text.split(self.divider)
        parts.pop()
        if len(parts) * _DENSE > len(text):
            # so many dividers that looking at each part takes longer
            return [pattern for literals in self._ends.values() for pattern in literals.patterns(text)]
        near = [part for part in parts if part.endswith(every)]
        if not near:
            return []
        return [
            pattern
            for end, literals in self._ends.items()
            if any(part.endswith(end) for part in near)
            for pattern in literals.patterns(text)
        ]


class Suspects:
    """Finds the patterns that may match in a text: the built-in ones and `more`."""

    def __init__(self, more: Sequence[Pattern] = ()) -> None:
        self._every = tuple(dict.fromkeys((*BUILT_IN, *more)))
        self._always = [pattern for pattern in more if not pattern.literals]
        literals = [(literal, pattern) for pattern in self._every for literal in pattern.literals]
        # what is cut in two where two slices meet is whole in one of them
        self._overlap = max(len(literal) for literal, _ in literals) - 1
        dash, underscore = _Divided(b"-"), _Divided(b"_")
        self._plain, self._divided = _Plain(), (dash, underscore)
        for literal, pattern in literals:
            divided = next((one for one in (underscore, dash) if one.divider in literal), None)
            (divided or self._plain).add(literal, pattern)

    def of(self, text: bytes) -> list[Pattern]:
        """The patterns that may match somewhere in the text, in their order."""
        if len(text) <= SLICE:
            found = set(self._in_slice(text))
        else:
            found = set()
            for start in range(0, len(text), SLICE):
                found.update(self._in_slice(text[start : start + SLICE + self._overlap]))
        if not found:
            return self._always
        found.update(self._always)
        return [pattern for pattern in self._every if pattern in found]

    def _in_slice(self, text: bytes) -> list[Pattern]:
        found = self._plain.patterns(text)
        for divided in self._divided:
            found += divided.patterns(text)
        return found


def of_value(secret: str) -> Pattern:
    """A configured value, wherever it stands: an answer may repeat what the provider was sent."""
    # characters that JSON escapes are not part of the literal
    written = max(_PLAIN.findall(secret), key=len, default="")
    return Pattern("configured", Value(secret), (written.encode(),) if written else ())


def of_admin(look: SecretLook) -> Pattern:
    """The pattern an admin wrote. A literal with a quote in it may begin outside a text and end within."""
    known = bool(look.literal) and '"' not in look.literal
    try:
        regex = LinearPattern(look.pattern)
    except NotLinear as problem:
        # Without the pattern a secret would be stored in the clear, and Python's engine could hang over a
        # text:
        # so a text that may contain one is not stored at all.
        logger.error(
            "a secret pattern cannot be run; texts that may hold it are masked as a whole",
            extra={"pattern": look.name, "problem": str(problem)},
        )
        regex = None
    return Pattern(look.name, regex, (look.literal.encode(),) if known else ())
