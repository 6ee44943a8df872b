"""What secrets look like: the one table of kinds, for stored texts and for messages to clients.

Each kind has literals, and only a text that contains one of them is searched closely, so a text without
secrets costs a few substring searches.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from gateway.patterns import Pattern as Expression
from gateway.patterns import compiled
from gateway.patterns.linear import LinearPattern


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


class SecretKind(NamedTuple):
    """`literals`: every match contains one of them (none: each text is searched). Group 1, if any, is the
    secret.

    `in_json`: what it matches in a text it also matches in the text's JSON, so most texts need no closer
    look. `with_digit`: the secret contains a digit, because a long name looks the same otherwise; an
    expression that requires it would search a whole word from each place in it. `regex` None: it cannot
    run, and a text that may match it is masked as a whole.
    """

    name: str
    regex: Expression[str] | LinearPattern | Value | None
    literals: tuple[bytes, ...]
    in_json: bool = False
    with_digit: bool = False

    def accepts(self, found: str) -> bool:
        """Whether what the expression found is a secret."""
        return bool(found) and (not self.with_digit or any(digit in found for digit in "0123456789"))


def _built_in(name: str, regex: str, *literals: str, with_digit: bool = False) -> SecretKind:
    return SecretKind(
        name,
        compiled(regex),
        tuple(literal.encode() for literal in literals),
        # In JSON text the key may follow the `n` of an escaped newline (`\n`).
        in_json=name != "api-key",
        with_digit=with_digit,
    )


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
