"""Secrets removed from messages to clients (docs/conversion.md, "Errors of providers").

Beside the kinds of `kinds`, a message loses whatever looks a little like a credential: nobody needs it there,
whereas a stored conversation would lose its contents.
"""

from __future__ import annotations

from typing import Final

from gateway import patterns
from gateway.masking.kinds import BUILT_IN, SecretKind
from gateway.patterns import Pattern as Expression

_MASK: Final = "***"

# A name without a digit is not a secret. The look ahead is bounded, because a search may begin at each place
# of a long word.
_WITH_DIGIT: Final = r"(?=[^\s\"'&]{0,100}[0-9])"

_PATTERNS: Final = tuple(
    (patterns.compiled(pattern, patterns.IGNORECASE), replacement)
    for pattern, replacement in (
        # https://user:password@host
        (r"\b([a-z][a-z0-9+.-]{0,30}://)[^\s/@:\"']*:[^\s/@\"']+@", rf"\1{_MASK}@"),
        # ?key=..., "api_key": "...", X-Api-Key: ...
        (
            r"(?<![a-z0-9])((?:key|token|secret|password|signature|sig)[\"']?\s*[=:]\s*[\"']?)"
            + _WITH_DIGIT
            + r"[A-Za-z0-9._~+/*%-]{8,}=*",
            rf"\1{_MASK}",
        ),
        (r"\b(bearer|basic)\s+" + _WITH_DIGIT + r"[A-Za-z0-9._~+/*-]{6,}=*", rf"\1 {_MASK}"),
        # keys known by their prefix: OpenAI and its kin, Groq, xAI, Hugging Face, ours ...
        (
            r"\b(sk|rk|pk|gsk|xai|hf|nvapi|pplx|fw|csk|tgp|r8|ccp)[-_]"
            + _WITH_DIGIT
            + r"[A-Za-z0-9_*.-]{6,}",
            rf"\1-{_MASK}",
        ),
        (r"\bAIza[A-Za-z0-9_*-]{10,}", f"AIza{_MASK}"),
        (r"\bsk-[A-Za-z0-9*_-]{3,}", f"sk-{_MASK}"),
        # from the first eyJ of a word: no later one has more after it
        (
            r"(?<![A-Za-z0-9_-])(?>([A-Za-z0-9_-]*?)(?=\beyJ))"
            r"[A-Za-z0-9_-]{11,}+\.[A-Za-z0-9_-]++(?:\.[A-Za-z0-9_-]*+)?",
            rf"\1{_MASK}",
        ),
    )
)


def masked(text: str) -> str:
    """`text` with *** for keys, tokens, private keys and credentials in URLs."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    for kind in BUILT_IN:
        if any(literal in text for literal in _LITERALS[kind]):
            text = _without(kind, text)
    return text


_LITERALS: Final = {kind: tuple(literal.decode() for literal in kind.literals) for kind in BUILT_IN}


def _without(kind: SecretKind, text: str) -> str:
    regex = kind.regex
    assert isinstance(regex, Expression)
    parts, place = [], 0
    for match in regex.finditer(text):
        start, end = match.span(1 if regex.groups else 0)
        if kind.accepts(text[start:end]):
            parts += [text[place:start], _MASK]
            place = end
    return "".join([*parts, text[place:]])
