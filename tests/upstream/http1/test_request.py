"""The head of a request as bytes."""

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.upstream.http1.connection import ConnectionOrigin
from gateway.upstream.http1.request import post_head, raw_headers, request_head, target


@pytest.mark.parametrize(
    ("url", "origin", "path", "host"),
    [
        ("http://h/v1", ("http", "h", 80), b"/v1", b"h"),
        ("https://H.example:443", ("https", "h.example", 443), b"/", b"h.example"),
        ("https://h:8443/a%20b?c=d&e", ("https", "h", 8443), b"/a%20b?c=d&e", b"h:8443"),
        ("http://[::1]:8000/", ("http", "::1", 8000), b"/", b"[::1]:8000"),
        (
            "https://bücher.example/ü",
            ("https", "xn--bcher-kva.example", 443),
            b"/%C3%BC",
            b"xn--bcher-kva.example",
        ),
    ],
)
def test_a_url_is_taken_apart(url, origin, path, host):
    place = target(url)
    assert (place.origin, place.path, place.host) == (ConnectionOrigin(*origin), path, host)


@pytest.mark.parametrize(
    "url", ["h/v1", "ftp://h/", "http://", "http://h:65536/", "http://h:x/", "http://h\n/"]
)
def test_what_is_no_web_address_is_refused(url):
    with pytest.raises((httpx.UnsupportedProtocol, httpx.InvalidURL)):
        target(url)


def test_the_head_has_host_first_and_the_length_last():
    head = request_head(b"POST", target("http://h/p"), [(b"X-A", b"1"), (b"Content-Length", b"9")], 5)
    assert head == b"POST /p HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nContent-Length: 5\r\n\r\n"


def test_a_host_header_of_the_admins_wins():
    assert b"\r\nHost: other\r\n" in request_head(b"POST", target("http://h/"), [(b"host", b"other")], 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"x", b"a\r\nInjected: 1"),
        (b"x", b"a\nb"),
        (b"x", b"\0"),
        (b"x: y", b"1"),
        (b"", b"1"),
        (b"x\r\n", b"1"),
    ],
)
def test_nothing_can_be_smuggled_in_through_a_header(name, value):
    with pytest.raises(httpx.LocalProtocolError) as caught:
        request_head(b"POST", target("http://h/"), [(name, value)], 0)
    assert "Injected" not in str(caught.value)


def test_credentials_in_the_url_win_over_a_header():
    place = target("http://user:p%40ss@h/")
    assert raw_headers({"Authorization": "Bearer k", "a": "b"}, place) == [
        (b"a", b"b"),
        (b"authorization", b"Basic dXNlcjpwQHNz"),
    ]
    assert place.host == b"h"
    assert "dXNlcjp" not in repr(place)


def test_a_header_goes_out_as_the_bytes_it_came_in_and_what_no_bytes_can_be_is_refused():
    assert raw_headers({"x": "\xc3\xbc"}, target("http://h/")) == [(b"x", "ü".encode())]
    for headers in ({"x": "…"}, {"ü": "x"}):
        with pytest.raises(UnicodeEncodeError):
            raw_headers(headers, target("http://h/"))


NAMES = st.sampled_from(
    ["accept", "Host", "host", "content-length", "Content-Length", "transfer-encoding", "authorization", "x"]
) | st.text("abX-_ :\r\n\0üK", max_size=6)
VALUES = st.text(st.characters(max_codepoint=0x17F), max_size=12)


@given(
    st.dictionaries(NAMES, VALUES, max_size=5),
    st.sampled_from(["http://h/p?q", "https://user:secret@h:8/"]),
    st.integers(0, 10**9),
)
@example({"a": "b", "content-type": "x"}, "http://h/", 5)
@example({"x": "a\r\nb: c"}, "http://h/", 5)
@example({"x": "a\rb"}, "http://h/", 5)
@example({"x: y": "1"}, "http://h/", 5)
@example({"x:y": "1", "": "2"}, "http://h/", 5)
@example({}, "http://h/", 5)
@example({"\u212aost": "x", "ho\u017ft": "x"}, "http://h/", 5)
def test_the_head_written_in_one_go_is_the_same_head_or_the_same_refusal(headers, url, length):
    def made(write):
        try:
            return write()
        except (httpx.LocalProtocolError, UnicodeEncodeError) as problem:
            return type(problem)

    place = target(url)
    usual = made(lambda: request_head(b"POST", place, raw_headers(headers, place), length))
    assert made(lambda: post_head(place, headers, length)) == usual
