"""What an error body says: the provider's sentence, its codes, and no words that it only echoes.

Providers put their sentence in a dozen places and often quote what they were sent. A user's own
words say nothing about the request, so texts that are scanned for meaning (`ErrorBody.texts`) come
without them:

* a field that holds an input is not read (`input`, pydantic's `ctx`, a request repeated);
* a quotation of several words is cut out of a sentence, unless it is the message of an error.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from gateway import patterns
from gateway.wire import jsontext, sse

# Expressions over longer texts would hold up other exchanges; a sentence may stand behind an echo.
MAX_SCANNED: Final = 4000
_TAIL: Final = 1000
_MOST_TEXTS: Final = 12
_DEPTH: Final = 7
# what stands behind so many quotations is taken for one
_MOST_QUOTATIONS: Final = 500

ECHO_FIELDS: Final = frozenset(
    {"input", "input_value", "inputs", "messages", "content", "text", "prompt", "url", "ctx", "received",
     "request", "request_body", "body", "user_id", "request_id", "headers", "loc", "param", "instance",
     "failed_generation", "flagged_input", "value", "subject", "given", "actual", "arguments"}
)  # fmt: skip
# where a sentence stands, the likeliest first; compared in lower case, without underscores
_SENTENCES: Final = (
    "message", "msg", "errormessage", "errormsg", "errmsg", "statusmsg", "statusmessage",
    "errordescription", "detail", "error", "errors", "description", "baseresp", "faultstring", "fault",
    "reason", "response",
    "title", "details", "err", "data", "result", "exception", "innererror", "cause", "info", "hint",
    "usermessage", "developermessage", "debugmessage", "violations", "invalidparams", "header", "output",
    "meta", "resp",
)  # fmt: skip
_CODES: Final = ("code", "type", "status", "error_type", "reason", "__type")
# the last two: a completion that Azure sends with a 400, because its filter stopped the answer
_WITH_CODES: Final = (
    "error", "errors", "innererror", "response", "detail", "Error", "status",
    "choices", "content_filter_results",
)  # fmt: skip
_NO_TEXT: Final = patterns.compiled(r"[\x00-\x08\x0e-\x1f\ufffd]")

# a message or a fault of S3, Alibaba and SOAP
_XML_SENTENCE: Final = patterns.compiled(
    r"<(?:\w{1,20}:)?(?:message|faultstring|description|detail|reason|error)(?: [^<>]{0,200})?>"
    r"(?P<said>[^<>]{2,2000})<",
    patterns.IGNORECASE,
)
_PAGE: Final = patterns.compiled(r"<(?:!doctype html|html|head|body)\b", patterns.IGNORECASE)
_SEVERAL_WORDS: Final = patterns.compiled(r"[^\W\d_]\s+[^\W\d_]|[\u4e00-\u9fff]{2}")
_TELLING_CODE: Final = patterns.match_at(r"(?!(?:error|object|failed|failure|fail)\Z)[a-z_][^\n]{2,100}\Z")

# a quotation begins behind no letter; an apostrophe inside a word is none
_QUOTE: Final = patterns.compiled(
    r"(?<![^\W_])[\"'`\u201c\u2018\u201e](?=\S)|[\u00ab\u300c\u300e\uff02](?=\S)|<(?=[A-Za-z])|\binput_value="
)
_ENDS: Final = {
    '"': patterns.compiled(r'(?<!\\)"'),
    "`": patterns.compiled("`"),
    "'": patterns.compiled(r"(?<!\\)'(?!\w)"),
    "\u201c": patterns.compiled("\u201d"),
    "\u2018": patterns.compiled("\u2019(?!\\w)"),
    "\u201e": patterns.compiled("[\u201c\u201d]"),
    "\u00ab": patterns.compiled("\u00bb"),
    "\u300c": patterns.compiled("\u300d"),
    "\u300e": patterns.compiled("\u300f"),
    "\uff02": patterns.compiled("\uff02"),
    "<": patterns.compiled(">"),
    "i": patterns.compiled(r", input_type=|\]|\n"),
}
_KEY_BEFORE: Final = patterns.compiled(
    r"(?:message|msg|detail|error|errors|reason|description|raw|text of the error)[\"']?\s?[:=]\s?\[?\Z",
    patterns.IGNORECASE,
)
# what such words introduce is what was sent, to the end, unless it is a number or a name
_INTRODUCED: Final = patterns.compiled(
    r"\b(?:near|received|unknown (?:tool|function|role|value|name)|at row \d{1,6}, column \d{1,6}):(?=\s)"
    r"|\bexpected [\w ]{1,40}, (?:but )?got(?=\s)",
    patterns.IGNORECASE,
)
# A provider quotes names and values: a word or three. A quotation of more words is somebody's sentence.
_NAME_WORDS: Final = 3


class ErrorBody(NamedTuple):
    """`message`: the sentence for the client; `words`: codes and types in lower case; `texts`: what is
    scanned for meaning, without echoes; `body`: the parsed body (of a list its first entry)."""

    message: str
    words: set[str]
    texts: list[str]
    body: Any


def parsed_body(body: bytes) -> Any:
    """JSON, the first JSON line, or the data of the first server-sent event; None when it is none."""
    for candidate in _candidates(body):
        try:
            return jsontext.loads(candidate)
        except jsontext.InvalidJSON:
            continue
    return None


def read(parsed: object, raw: str = "") -> ErrorBody:
    """What an error says. `parsed`: the body as JSON, None when it is none; `raw`: its text."""
    if parsed is None:
        message = plain_text(raw)
        # a page shows what was asked for
        page = not message and raw[:MAX_SCANNED].lstrip().startswith("<")
        return ErrorBody(message, set(), [] if page else scanned(message or raw), None)
    body = parsed[0] if isinstance(parsed, list) and len(parsed) == 1 else parsed
    message = (_sentence(body) or _any_sentence(body))[:MAX_SCANNED]
    nested = _nested(body)
    if nested:
        message = f"{message}: {nested[:MAX_SCANNED]}" if message else nested[:MAX_SCANNED]
    texts: list[str] = []
    for text in _said(body):
        texts += scanned(text)
        if len(texts) >= _MOST_TEXTS:
            break
    words = list(_words(body))
    if not message.strip():
        message = next((word for word in words if _TELLING_CODE(word)), "")
    return ErrorBody(message, set(words), texts, body)


def plain_text(raw: str) -> str:
    """The sentence of a body that is no JSON: of plain text or an XML error; "" of a page and of bytes."""
    text = raw[:MAX_SCANNED].strip().lstrip("\ufeff")
    if _NO_TEXT.search(text):
        return ""
    if not text.startswith("<"):
        return text
    found = None if _PAGE.search(text) else _XML_SENTENCE.search(text)
    return "" if found is None else html.unescape(found["said"]).strip()


def scanned(text: str) -> list[str]:
    """The parts of a text that are scanned: without echoes, and of a long one its beginning and its end."""
    text = without_echoes(text)
    if len(text) <= MAX_SCANNED:
        return [text]
    return [text[: MAX_SCANNED - _TAIL], text[-_TAIL:]]


def without_echoes(text: str) -> str:
    """A provider's text without the quotations that are somebody else's words."""
    told = _INTRODUCED.search(text)
    if told is not None:
        behind = text[told.end() :].split(None, _NAME_WORDS)
        if len(behind) > _NAME_WORDS and not behind[0][0].isdigit():
            text = text[: told.end()]
    kept: list[str] = []
    at = 0
    for _ in range(_MOST_QUOTATIONS):
        quote = _QUOTE.search(text, at)
        if quote is None:
            return "".join((*kept, text[at:]))
        start, end = quote.span()
        mark = quote.group()
        if mark != "input_value=" and _KEY_BEFORE.search(text[max(0, start - 24) : start]):
            kept.append(text[at:end])
            at = end
            continue
        closing = _ENDS[mark[0]].search(text, end)
        stop = _end_of_line(text, end) if closing is None else closing.end()
        echoed = mark == "input_value=" or len(text[end:stop].split(None, _NAME_WORDS)) > _NAME_WORDS
        kept.append(text[at:start] + "\u2026" if echoed else text[at:stop])
        at = stop
    return "".join(kept)


def _end_of_line(text: str, at: int) -> int:
    """Where a quotation without an end is over: what stands on the next line is the provider's again."""
    line_end = text.find("\n", at)
    return len(text) if line_end < 0 else line_end


def _candidates(body: bytes) -> Iterator[bytes]:
    yield body
    start = body[:16].lstrip()
    if sse.begins_as_events(body):
        decoder = sse.Decoder()
        events = [*decoder.feed(body[:MAX_SCANNED]), *decoder.flush()]
        yield from (event.data for event in events[:3])
    elif start.startswith((b"{", b"[")):
        yield body.lstrip().partition(b"\n")[0]


def _name(key: str) -> str:
    return key.lower().replace("_", "")


def _sentence(value: Any, depth: int = _DEPTH) -> str:
    """The sentence for the client, wherever it stands; "" when there is none."""
    if isinstance(value, str):
        return value
    if not depth:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (_sentence(item, depth - 1) for item in value[:_MOST_TEXTS])))
    if not isinstance(value, dict):
        return ""
    if isinstance(said := value.get("msg"), str) and isinstance(place := value.get("loc"), list):
        return f"{'.'.join(map(str, place[:_MOST_TEXTS]))}: {said}"
    fields = {_name(key): inner for key, inner in value.items()}
    # the error itself before what is said around it
    first = [fields[name] for name in ("error", "status") if isinstance(fields.get(name), dict)]
    if isinstance(by_field := fields.get("errors"), dict) and not _sentence(by_field, depth - 1):
        # what is wrong with each field
        fields["errors"] = [f"{name}: {_sentence(inner, depth - 2)}" for name, inner in by_field.items()]
    places = [*first, *(fields.get(name) for name in _SENTENCES)]
    if "type" not in fields:
        # beside a type it is a part of a message that was sent
        places.append(fields.get("text"))
    if isinstance(body := fields.get("body"), str) and isinstance(inner := _inner(body), dict):
        # what a server behind this one answered; a request that is repeated has no error
        places.append(inner.get("error"))
    return next(filter(None, (_sentence(inner, depth - 1) for inner in places)), "")


def _any_sentence(body: Any) -> str:
    """The longest text that is more than one word, under whatever name; "" when there is none."""
    said = (text.strip() for text in _said(body))
    return max((text for text in said if _SEVERAL_WORDS.search(text)), key=len, default="")


def _nested(body: Any) -> str:
    """What the provider behind a router said: OpenRouter's metadata.raw."""
    error = body.get("error") if isinstance(body, dict) else None
    metadata = error.get("metadata") if isinstance(error, dict) else None
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if not raw:
        return ""
    return raw if isinstance(raw, str) else jsontext.dumps_text(raw)


def _said(value: Any, depth: int = _DEPTH) -> Iterator[str]:
    """All texts of an error but echoes, those of JSON inside a text too."""
    if isinstance(value, str):
        inner = _inner(value) if depth else None
        if inner is None:
            yield value
        else:
            yield from _said(inner, depth - 1)
    elif depth and isinstance(value, list):
        for item in value[:_MOST_TEXTS]:
            yield from _said(item, depth - 1)
    elif depth and isinstance(value, dict):
        place, told = value.get("loc"), value.get("msg")
        if isinstance(place, list) and isinstance(told, str):
            yield f"{'.'.join(map(str, place[:_MOST_TEXTS]))}: {told}"
            return
        for name, inner in value.items():
            if name.lower() not in ECHO_FIELDS:
                yield from _said(inner, depth - 1)


def _inner(text: str) -> Any:
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        inner = jsontext.loads(text)
    except (jsontext.InvalidJSON, UnicodeEncodeError):
        return None
    return inner if isinstance(inner, dict | list) else None


def _words(body: Any, depth: int = 6) -> Iterator[str]:
    """Codes and types, at every usual place."""
    if isinstance(body, list):
        for item in body[:_MOST_TEXTS]:
            yield from _words(item, depth - 1)
    if not isinstance(body, dict) or not depth:
        return
    for key in _CODES:
        value = body.get(key, body.get(key.capitalize()))
        if isinstance(value, str):
            yield value.lower()
        elif type(value) is int:
            yield str(value)
    base = body.get("base_resp")
    if isinstance(base, dict):
        # MiniMax's numbers mean something else elsewhere
        yield f"base_resp.{base.get('status_code')}"
    for key in _WITH_CODES:
        yield from _words(body.get(key), depth - 1)
