import asyncio
import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admin.downloads import csv_download, download, json_download, streamed_download
from gateway.history.csv_text import csv_text

GATEWAY = Path(__file__).parent.parent.parent / "gateway"


def test_no_other_module_makes_the_headers_of_a_download():
    found = [
        path.relative_to(GATEWAY).as_posix()
        for path in GATEWAY.rglob("*.py")
        if "Content-Disposition" in path.read_text()
    ]
    assert found == ["admin/downloads.py"]


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("costs.csv", 'attachment; filename="costs.csv"'),
        ('a"; filename="b.csv', 'attachment; filename="a_; filename=_b.csv"'),
        ("a\r\nSet-Cookie: b.csv", 'attachment; filename="a__Set-Cookie: b.csv"'),
        ("../a\\b.csv", 'attachment; filename=".._a_b.csv"'),
        ("费用.csv", "attachment; filename*=utf-8''%E8%B4%B9%E7%94%A8.csv"),
    ],
)
def test_a_file_s_name_stays_one_name(name, header):
    assert download(b"", name)["Content-Disposition"] == header


@given(st.text())
def test_any_name_makes_a_header_of_one_line(name):
    header = download(b"", f"{name}.txt")["Content-Disposition"]
    assert header.isascii() and header.isprintable() and header.startswith("attachment; filename")


def test_a_browser_takes_no_file_for_a_page():
    for response in (
        download(b"<script>", "a.txt"),
        csv_download([["<script>"]], "a.csv"),
        json_download({"a": "<script>"}, "a.json"),
        streamed_download(iter([b"<script>"]), "a.jsonl"),
    ):
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Content-Security-Policy"].startswith("sandbox")
        assert "html" not in response["Content-Type"]


def test_a_file_is_streamed_piece_by_piece():
    made = []

    def pieces():
        for number in range(3):
            made.append(number)
            yield b"%d\n" % number

    async def read():
        lines = aiter(streamed_download(pieces(), "a.jsonl"))
        first = await anext(lines)
        assert (first, made) == (b"0\n", [0])
        return [first] + [line async for line in lines]

    assert asyncio.run(read()) == [b"0\n", b"1\n", b"2\n"]


FORMULAS = ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"]


@pytest.mark.parametrize("start", FORMULAS)
def test_a_text_that_a_spreadsheet_would_compute_is_quoted(start):
    ((cell,),) = csv.reader(io.StringIO(csv_text([[f"{start}1+1"]]), newline=""))
    assert cell == f"'{start}1+1"


@pytest.mark.parametrize("start", FORMULAS)
@pytest.mark.parametrize("before", ["x;", "x; ", 'x;"', "x;;"])
def test_a_text_that_a_spreadsheet_would_divide_at_a_semicolon_is_quoted_too(before, start):
    ((cell,),) = csv.reader(io.StringIO(csv_text([[f"{before}{start}1+1"]]), newline=""))
    assert all(piece[:1] in ("", "x", "'") for piece in cell.split(";"))


def test_numbers_and_lone_signs_stay_as_they_are():
    assert csv_text([[-1, -0.5, None, "-", "a-b", "a; b;-"]], end="\n") == "-1,-0.5,,-,a-b,a; b;-\n"


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2), max_size=5))
def test_a_reader_of_csv_finds_the_texts_again(rows):
    read = list(csv.reader(io.StringIO(csv_text(rows), newline="")))
    assert [[cell.replace("'", "") for cell in row] for row in read] == [
        [cell.replace("'", "") for cell in row] for row in rows
    ]
