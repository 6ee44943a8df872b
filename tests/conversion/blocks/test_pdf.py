"""Text and pages of PDF files; nothing may raise."""

import base64

import pytest

from gateway.cache import GenerationalCache
from gateway.conversion.blocks import pdf
from tests.conversion.pdf_files import pdf_of


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch):
    monkeypatch.setattr(pdf, "_recent", GenerationalCache(pdf._MOST_REMEMBERED, pdf._size))


def test_the_text_of_each_page_is_found():
    assert pdf.page_texts(pdf_of("one", "two", "three")) == ("one", "two", "three")


def test_pages_are_counted_without_reading_them():
    assert pdf.page_count(pdf_of("one", "two", "three")) == 3
    assert pdf.page_count("") == 1


@pytest.mark.parametrize("data", ["", "AAAA", "@@@", "é", "JVBERi0xLjQK", "JVBERi0xLjQ"])
def test_what_is_no_pdf_has_no_text(data):
    assert pdf.page_texts(data) == ()


def test_a_pdf_cut_or_damaged_anywhere_does_not_raise():
    whole = base64.b64decode(pdf_of("one", "two"))
    for position in range(0, len(whole), 7):
        cut = base64.b64encode(whole[:position]).decode()
        flipped = base64.b64encode(
            whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :]
        ).decode()
        assert isinstance(pdf.page_texts(cut), tuple)
        assert isinstance(pdf.page_texts(flipped), tuple)


def test_a_tree_of_pages_that_contains_itself_does_not_hang():
    whole = base64.b64decode(pdf_of("one")).replace(b"/Kids [4 0 R]", b"/Kids [2 0 R]")
    assert isinstance(pdf.page_texts(base64.b64encode(whole).decode()), tuple)


def test_pages_and_characters_are_bounded(monkeypatch):
    monkeypatch.setattr(pdf, "MAX_PAGES", 2)
    assert pdf.page_texts(pdf_of("one", "two", "three"))[2].startswith("[the rest")
    monkeypatch.setattr(pdf, "MAX_CHARACTERS", 4)
    assert pdf.page_texts(pdf_of("onetwo", "two"))[0] == "onet"


def test_a_file_that_is_too_large_is_not_read(monkeypatch):
    monkeypatch.setattr(pdf, "MAX_BYTES", 10)
    assert pdf.page_texts(pdf_of("one")) == ()


def test_the_same_file_is_read_once(monkeypatch):
    data = pdf_of("one")
    first = pdf.page_texts(data)
    monkeypatch.setattr(pdf, "read_pages", lambda file: pytest.fail("read again"))
    assert pdf.page_texts(data) is first


@pytest.mark.parametrize("pages", [(), ("x" * 100_000,), ("x" * pdf.MAX_CHARACTERS, pdf.CUT)])
def test_old_files_are_forgotten_but_not_those_in_use(pages):
    recent = pdf._recent
    recent.put(b"used", pages)
    for number in range(5000):
        recent.put(str(number).encode(), pages)
        assert recent.get(b"used") == pages
    assert recent.get(b"0") is None
    assert recent.get(b"4999") == pages


def test_a_page_that_unpacks_to_too_much_ends_the_text(monkeypatch):
    monkeypatch.setattr(pdf, "MAX_PAGE_CONTENT", 10)
    assert pdf.page_texts(pdf_of("one", "two")) == ("[the rest of the document was left out]",)


def test_all_pages_together_unpack_to_no_more_than_they_may(monkeypatch):
    monkeypatch.setattr(pdf, "MAX_CONTENT", 100)
    texts = pdf.page_texts(pdf_of("one", "two", "three", "four", "five"))
    assert texts[0] == "one" and texts[-1].startswith("[the rest") and len(texts) < 5
