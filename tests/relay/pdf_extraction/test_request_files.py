"""Requests with PDFs: what reaches the provider, and what the ledger tells."""

import json

import pytest

from gateway.cache import GenerationalCache
from gateway.conversion.blocks import pdf
from gateway.relay.pdf_extraction import request_files
from gateway.relay.pdf_extraction.workers import PDFLimits, PDFWorkers
from tests.conftest import asking
from tests.conversion.pdf_files import pdf_of, pdf_of_forms, pdf_of_streams
from tests.fakes.provider import completion

MB = 1024 * 1024


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch):
    monkeypatch.setattr(pdf, "_recent", GenerationalCache(pdf._MOST_REMEMBERED, pdf._size))


def with_files(*files):
    source = {"type": "base64", "media_type": "application/pdf"}
    body = asking()
    body["messages"][0]["content"] = [
        {"type": "document", "source": {**source, "data": data}} for data in files
    ]
    return body


async def sent(bench, body):
    """What reached the provider, as text, and the notes of the ledger."""
    bench.provider.answers("m", completion())
    answer = await bench.client.post("/v1/messages", body)
    assert answer.status == 200, answer.text
    return bench.provider.requests[-1].raw.decode(), [entry["note"] for entry in bench.recorder.last.ledger]


async def test_all_files_of_a_request_are_read_before_it_is_converted(bench):
    text, notes = await sent(bench, with_files(*(pdf_of(f"file {number}") for number in range(5))))
    assert all(f"file {number}" in text for number in range(5))
    assert notes == ["PDF sent as its extracted text (5 times)"]


async def test_a_file_in_a_tool_result_is_read(bench):
    body = with_files(pdf_of("of a tool"))
    content = body["messages"][0]["content"]
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    body["messages"] = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": content}]},
    ]
    assert "of a tool" in (await sent(bench, body))[0]


@pytest.mark.parametrize("written", [r"application\/pdf", r"\u0061pplication/pdf"])
async def test_a_media_type_may_be_written_with_escapes(bench, written):
    text = json.dumps(with_files(pdf_of("one"))).replace("application/pdf", written)
    assert "one" in (await sent(bench, text.encode()))[0]


async def test_line_breaks_in_the_base64_do_not_make_it_another_file(bench):
    data = pdf_of("one")
    broken = "\r\n".join(data[at : at + 76] for at in range(0, len(data), 76))
    assert "one" in (await sent(bench, with_files(broken, data)))[0]


async def test_a_file_that_kills_its_reader_is_left_out_and_the_ledger_says_so(bench):
    bench.set(pdf_workers=PDFWorkers(PDFLimits(cpu=1)))
    text, notes = await sent(bench, with_files(pdf_of_forms()))
    bench.gateway.pdf_workers.stop()
    assert "(no extractable text)" in text
    assert notes == ["PDF left out: no text can be extracted"]


async def test_a_file_that_is_read_in_part_is_sent_in_part_and_the_ledger_says_so(bench):
    bench.set(pdf_workers=PDFWorkers(PDFLimits(cpu=1)))
    text, notes = await sent(bench, with_files(pdf_of_forms(b"BT (first) Tj ET")))
    bench.gateway.pdf_workers.stop()
    assert "first" in text and "the rest of the document was left out" in text
    assert notes == ["PDF sent as its extracted text as far as it could be read"]


async def test_a_file_that_nobody_has_time_to_read_is_left_out_and_read_the_next_time(bench, monkeypatch):
    patience = request_files.PATIENCE
    monkeypatch.setattr(request_files, "PATIENCE", 0.0)
    text, notes = await sent(bench, with_files(pdf_of("one")))
    assert "(no extractable text)" in text
    assert notes == ["PDF left out: there was no time to read it"]
    monkeypatch.setattr(request_files, "PATIENCE", patience)
    assert "one" in (await sent(bench, with_files(pdf_of("one"))))[0]


async def test_small_files_with_much_text_become_no_more_than_the_request_may(bench):
    # 200 times the same 800 KB of text from less than 8 KB
    data = pdf_of_streams(b"BT (" + b"x" * 80_000 + b") Tj ET", times=10)
    assert len(data) < 8_000
    body = with_files(*[data] * 200)
    text, notes = await sent(bench, body)
    assert len(text) < len(json.dumps(body)) + 2 * MB
    assert any("beyond what one request may unpack" in note for note in notes)


async def test_what_a_request_had_no_budget_for_is_there_for_the_next_one(bench):
    data = pdf_of_streams(b"BT (" + b"x" * 80_000 + b") Tj ET", times=10)
    said = [{"role": "assistant", "content": "yes"}, {"role": "user", "content": "go on"}]
    body = with_files(*[data] * 3)
    body["messages"] += said * 2
    assert (await sent(bench, body))[0].count("x" * 80_000) < 30
    body = with_files(data)
    body["messages"] += said * 2
    assert (await sent(bench, body))[0].count("x" * 80_000) == 10
