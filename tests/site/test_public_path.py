"""A sub-path in PUBLIC_URL: what is taken off a request's path, and which sub-paths cannot be."""

import pytest

from ccproxy_site.public_path import PublicPath


@pytest.mark.parametrize(
    ("prefix", "sent", "within"),
    [
        ("/ai", "/ai/v1/messages", "/v1/messages"),
        ("/ai", "/v1/messages", "/v1/messages"),
        ("/ai", "/ai", "/"),
        ("/ai", "/ai/", "/"),
        ("/ai", "/air/v1", "/air/v1"),
        ("/ai", "/ai/ai/x", "/ai/x"),
        ("/ai", "*", "*"),
        ("/ai/two", "/ai/v1", "/ai/v1"),
        ("", "/v1", "/v1"),
        ("", "*", "*"),
    ],
)
def test_only_a_whole_prefix_is_taken_off_and_only_once(prefix, sent, within):
    path = PublicPath(prefix)
    assert path.within(sent) == within
    assert path.within(sent.encode()) == within.encode()


def test_pages_see_the_whole_way():
    scope = {"path": "/admin/", "root_path": ""}
    PublicPath("/ai").put_before(scope)
    assert scope == {"path": "/ai/admin/", "root_path": "/ai"}
