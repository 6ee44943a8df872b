"""ProviderConfig and body -> URL, headers, bytes."""

import json

import pytest

from gateway.routing.snapshot import ProviderConfig
from gateway.upstream.request_builder import endpoint_url, upstream_call

AZURE = "https://r.openai.azure.com/openai/deployments/d"


def test_a_base_that_ends_like_the_path_begins_is_not_repeated():
    for base in ("https://a", "https://a/v1", "https://a/v1/messages", "https://a/"):
        assert endpoint_url(base, "/v1/messages", {}) == "https://a/v1/messages"
    counting = "https://a/x/v1/messages/count_tokens"
    assert endpoint_url("https://a/x/v1", "/v1/messages/count_tokens", {}) == counting


def test_a_clients_query_passes_and_the_providers_own_wins():
    provider = ProviderConfig("p", "P", "https://a", query={"x": "1"})
    call = upstream_call(provider, "anthropic", {}, {}, None, query="beta=true&x=2", below="/count_tokens")
    assert call.url == "https://a/v1/messages/count_tokens?beta=true&x=1"


@pytest.mark.parametrize(
    ("base_url", "query", "expected"),
    [
        ("https://a/v1", {}, "https://a/v1/chat/completions"),
        ("https://a/v1/", {}, "https://a/v1/chat/completions"),
        ("https://a/v1/chat/completions", {}, "https://a/v1/chat/completions"),
        (AZURE, {"api-version": "2024-10-21"}, AZURE + "/chat/completions?api-version=2024-10-21"),
        ("https://a/v1?x=1", {"y": "2"}, "https://a/v1/chat/completions?x=1&y=2"),
        (" https://a/v1 ", {}, "https://a/v1/chat/completions"),
    ],
)
def test_the_url_is_the_base_and_the_protocols_path(base_url, query, expected):
    assert endpoint_url(base_url, "/chat/completions", query) == expected


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ("bearer", ("authorization", "Bearer secret")),
        ("api-key", ("api-key", "secret")),
        ("x-api-key", ("x-api-key", "secret")),
        ("none", None),
    ],
)
def test_the_credential_stands_in_the_header_of_its_style(auth, header):
    provider = ProviderConfig("p", "P", "https://a/v1", auth=auth)
    call = upstream_call(provider, "chat", {}, {}, "secret")
    assert [item for item in call.headers.items() if "secret" in item[1]] == ([header] if header else [])


def test_the_providers_own_headers_come_before_everything_else():
    provider = ProviderConfig("p", "P", "https://a/v1", headers={"Authorization": "Token t", "X-Team": "red"})
    call = upstream_call(provider, "chat", {}, {"x-session": "s"}, "secret")
    assert call.headers["Authorization"] == "Token t"
    assert "authorization" not in call.headers
    assert (call.headers["X-Team"], call.headers["x-session"]) == ("red", "s")


def test_the_body_is_compact_json_and_secrets_have_no_repr():
    provider = ProviderConfig("p", "P", "https://a/v1", headers={"X-Key": "hidden"})
    call = upstream_call(provider, "chat", {"model": "é"}, {}, "secret")
    assert json.loads(call.content) == {"model": "é"}
    assert "secret" not in repr(call)
    assert "hidden" not in repr(call)


def test_a_stream_is_asked_for_by_the_accept_header_too():
    provider = ProviderConfig("p", "P", "https://a/v1")
    assert (
        upstream_call(provider, "chat", {"stream": True}, {}, None).headers["accept"] == "text/event-stream"
    )
