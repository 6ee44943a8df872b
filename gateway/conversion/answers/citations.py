"""Citations of a web search (docs/conversion.md, "Citations")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.conversion.context import AnswerContext
from gateway.conversion.ledger import Ledger
from gateway.wire.messages import Citation

_LONGEST_QUOTE: Final = 150


def citations_of(
    message: Mapping[str, object], text: str, context: AnswerContext, ledger: Ledger
) -> list[Citation]:
    """The citations in a message's or delta's annotations; `text` is the answer so far.

    Without an active web search they are dropped.
    """
    annotations = message.get("annotations")
    if not isinstance(annotations, list) or not annotations:
        return []
    if not context.web_search_active:
        ledger.dropped("content.text.citations", "annotations of the upstream without a web search")
        return []
    cited = (
        annotation.get("url_citation", annotation)
        for annotation in annotations
        if isinstance(annotation, dict) and annotation.get("type") == "url_citation"
    )
    return [_citation(source, text) for source in cited if isinstance(source, dict)]


def _citation(source: Mapping[str, object], text: str) -> Citation:
    start, end, title, url = (source.get(key) for key in ("start_index", "end_index", "title", "url"))
    quoted = text[start:end] if isinstance(start, int) and isinstance(end, int) and 0 <= start <= end else ""
    return {
        "type": "web_search_result_location",
        "cited_text": quoted[:_LONGEST_QUOTE],
        "encrypted_index": "",
        "title": title if isinstance(title, str) else None,
        "url": url if isinstance(url, str) else "",
    }
