"""Document blocks as text wrappers or file parts (docs/conversion.md, "Blocks of users" and "PDF files")."""

from __future__ import annotations

from typing import Any, Final

from gateway.conversion.blocks import pdf
from gateway.conversion.blocks.chat_parts import PARAGRAPH, text_part
from gateway.conversion.blocks.images import image, without_whitespace
from gateway.conversion.provider_state import TOO_MUCH, Opener
from gateway.conversion.request_context import RequestContext
from gateway.conversion.validation.shape_errors import refuse
from gateway.wire.chat import ChatPart, FilePart, TextPart
from gateway.wire.messages_request import RequestBlock

NO_TEXT: Final = "(no extractable text)"
DEFAULT_NAME: Final = "document.pdf"


def document(block: RequestBlock, path: str, context: RequestContext) -> list[ChatPart]:
    """The parts for a document block. Raises InvalidRequest where the provider takes no such document."""
    _note_citations(block, path, context)
    source = block["source"]
    match source["type"]:
        case "text":
            return [text_part(_wrapped(block, source["data"]))]
        case "content":
            return _from_content(block, source["content"], f"{path}.source.content", context)
        case "url":
            return [_from_url(block, source["url"], f"{path}.source.url", context)]
        case _:
            return [_from_pdf(block, source["data"], path, context)]


def search_result(block: RequestBlock, path: str, context: RequestContext) -> TextPart:
    """The text part for a search_result block."""
    _note_citations(block, path, context)
    context.notes.add("replaced", path, "search result sent as text")
    texts = PARAGRAPH.join(item["text"] for item in block["content"])
    title, source = _quoted(block["title"]), _quoted(block["source"])
    return text_part(f'<search_result title="{title}" source="{source}">\n{texts}\n</search_result>')


def _note_citations(block: RequestBlock, path: str, context: RequestContext) -> None:
    citations = block.get("citations")
    if isinstance(citations, dict) and citations.get("enabled"):
        context.notes.add("dropped", f"{path}.citations", "citations cannot be made from chat answers")


def _from_content(block: RequestBlock, content: Any, path: str, context: RequestContext) -> list[ChatPart]:
    if isinstance(content, str):
        return [text_part(_wrapped(block, content))]
    texts = PARAGRAPH.join(item["text"] for item in content if item["type"] == "text")
    images = [
        image(item, f"{path}.{position}", context)
        for position, item in enumerate(content)
        if item["type"] == "image"
    ]
    return [text_part(_wrapped(block, texts)), *images]


def _from_url(block: RequestBlock, url: str, path: str, context: RequestContext) -> ChatPart:
    if context.profile.url_documents == "pass":
        if context.profile.pdf == "document_url":
            return {"type": "document_url", "document_url": url}
        return _file(block, url)
    if context.profile.url_documents == "fetch":
        refuse(path, "this gateway cannot download documents yet; send the document as base64")
    refuse(path, f"URL documents are not supported by model {context.model}")


def _from_pdf(block: RequestBlock, data: str, path: str, context: RequestContext) -> ChatPart:
    data = without_whitespace(data)
    match context.profile.pdf:
        case "file":
            return _file(block, f"data:application/pdf;base64,{data}")
        case "document_url":
            return {"type": "document_url", "document_url": f"data:application/pdf;base64,{data}"}
        case "reject":
            refuse(path, f"PDF documents are not supported by model {context.model}")
        case _:
            text, note = _affordable(data, context.opaque)
            context.notes.add("replaced", path, note)
            return text_part(_wrapped(block, text))


def extracted_text(data: str, opaque: Opener) -> str:
    """What `pdf: extract` sends for a PDF in base64: a line `[page n]` before each page's text.

    Raises pdf.NotReadYet.
    """
    return _joined(_pages(data, opaque) or ())


def _pages(data: str, opaque: Opener) -> tuple[str, ...] | None:
    return (opaque.page_texts or pdf.page_texts)(without_whitespace(data))


def _joined(pages: tuple[str, ...]) -> str:
    if not any(pages):
        return NO_TEXT
    return "\n".join(f"[page {number}]\n{text}" for number, text in enumerate(pages, 1))


def _affordable(data: str, opaque: Opener) -> tuple[str, str]:
    """The text of a PDF within the request's budget, and the ledger's note."""
    pages = _pages(data, opaque)
    if pages is None:
        opaque.refuse()
        return NO_TEXT, "PDF left out: there was no time to read it"
    if not any(pages):
        return NO_TEXT, "PDF left out: no text can be extracted"
    text = _joined(pages)
    if not opaque.charge(len(text)):
        opaque.refuse()
        return NO_TEXT, f"PDF left out: its text is {TOO_MUCH}"
    cut = " as far as it could be read" if pages[-1] == pdf.CUT else ""
    return text, f"PDF sent as its extracted text{cut}"


def _file(block: RequestBlock, file_data: str) -> FilePart:
    # OpenAI recognises the kind of a file by the extension of its name
    name = block.get("title") or DEFAULT_NAME
    name = name if name.lower().endswith(".pdf") else f"{name}.pdf"
    return {"type": "file", "file": {"filename": name, "file_data": file_data}}


def _wrapped(block: RequestBlock, text: str) -> str:
    title, context = block.get("title"), block.get("context")
    opening = f'<document title="{_quoted(title)}">' if title else "<document>"
    return "\n".join([opening, *([context] if context else []), text, "</document>"])


def _quoted(text: str) -> str:
    return text.replace('"', "&quot;")
