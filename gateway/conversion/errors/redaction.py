"""Secrets removed from texts that leave the gateway (docs/conversion.md, "Errors of providers")."""

from __future__ import annotations

from typing import Final

from gateway import patterns

_MASK: Final = "***"

# A name is not a secret: without a digit it stays. What may begin at many places is bounded: looking to the
# end of a long word from each of them would take minutes.
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
    """`text` without keys, bearer tokens and credentials in URLs."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
