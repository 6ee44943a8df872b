"""Documents as text wrappers or file parts."""

import pytest

from tests.conversion.converting import (
    IMAGE,
    IMAGE_PART,
    convert,
    messages_of,
    refusal_of,
    request_of,
    text,
    user,
)
from tests.conversion.pdf_files import pdf_of

MINI = "JVBERi0xLjQK"


def document(title=None, context=None, **source):
    return {"type": "document", "title": title, "context": context, "source": source}


def content_of(*blocks, options=None):
    (message,) = messages_of(user(*blocks), options=options)
    return message["content"]


def pdf(data=MINI, **fields):
    return document(type="base64", media_type="application/pdf", data=data, **fields)


def url_document(**fields):
    return document(type="url", url="https://e.com/a.pdf", **fields)


def test_a_text_document_is_wrapped_with_title_and_context():
    block = document('N "1"', "ctx", type="text", media_type="text/plain", data="body")
    assert content_of(block) == '<document title="N &quot;1&quot;">\nctx\nbody\n</document>'


def test_absent_title_and_context_are_left_out():
    assert content_of(document(type="text", data="body")) == "<document>\nbody\n</document>"


def test_a_content_document_is_wrapped_and_its_images_follow():
    assert (
        content_of(document("T", type="content", content="body")) == '<document title="T">\nbody\n</document>'
    )
    assert content_of(document(type="content", content=[text("a"), IMAGE, text("b")])) == [
        {"type": "text", "text": "<document>\na\n\nb\n</document>"},
        IMAGE_PART,
    ]


def test_citations_of_a_document_are_dropped_into_the_ledger():
    block = {**document(type="text", data="x"), "citations": {"enabled": True}}
    assert convert(request_of(user(block))).codes == ["dropped"]
    assert convert(request_of(user({**block, "citations": ["odd"]}))).codes == []


@pytest.mark.parametrize(("title", "name"), [(None, "document.pdf"), ("a.pdf", "a.pdf")])
def test_a_pdf_becomes_a_file_part(title, name):
    part = {"filename": name, "file_data": f"data:application/pdf;base64,{MINI}"}
    assert content_of(pdf(title=title), options={"pdf": "file"}) == [{"type": "file", "file": part}]


def test_a_pdf_becomes_a_document_url_part():
    assert content_of(pdf("JVBE\nRi0x\nLjQK"), options={"pdf": "document_url"}) == [
        {"type": "document_url", "document_url": f"data:application/pdf;base64,{MINI}"}
    ]


def test_a_pdf_is_refused_where_the_model_takes_none():
    assert refusal_of(request_of(user("a", pdf())), {"pdf": "reject"}) == (
        "messages.0.content.1: PDF documents are not supported by model claude-test"
    )


def test_a_pdf_is_extracted_page_by_page():
    outcome = convert(request_of(user(pdf(pdf_of("Hello", "World"), title="T"))))
    assert outcome.messages[0]["content"] == (
        '<document title="T">\n[page 1]\nHello\n[page 2]\nWorld\n</document>'
    )
    assert outcome.codes == ["replaced"]


@pytest.mark.parametrize("data", [MINI, pdf_of("")])
def test_a_pdf_without_text_says_so(data):
    assert content_of(pdf(data)) == "<document>\n(no extractable text)\n</document>"


def test_a_document_by_url_is_refused_by_default():
    request = request_of(user(url_document()))
    assert refusal_of(request) == (
        "messages.0.content.0.source.url: URL documents are not supported by model claude-test"
    )
    assert "send the document as base64" in refusal_of(request, {"url_documents": "fetch"})


def test_a_document_by_url_is_passed_on_where_the_provider_loads_it():
    url = "https://e.com/a.pdf"
    assert content_of(url_document(), options={"url_documents": "pass"}) == [
        {"type": "file", "file": {"filename": "document.pdf", "file_data": url}}
    ]
    assert content_of(url_document(), options={"url_documents": "pass", "pdf": "document_url"}) == [
        {"type": "document_url", "document_url": url}
    ]
