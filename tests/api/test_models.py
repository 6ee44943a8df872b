"""GET /v1/models and /v1/models/{id}."""

import anthropic
import pytest

from tests.conftest import key_entry, rule


@pytest.fixture
async def listed(bench):
    bench.configure(
        rules=[
            rule("claude-big", id=1, upstream_model="up-1", context_window=128000, max_output_tokens=8000),
            rule("vendor/model:x", id=2),
            rule("*haiku*", id=3, public_names=("claude-haiku-5-5",)),
            rule("off", id=4, enabled=False),
        ]
    )
    return bench


async def test_exact_and_public_names_are_listed_and_patterns_are_not(listed):
    answer = await listed.client.get("/v1/models?limit=1000")
    assert [row["id"] for row in answer.json["data"]] == ["claude-big", "vendor/model:x", "claude-haiku-5-5"]
    assert answer.json["first_id"] == "claude-big"
    assert answer.json["has_more"] is False


async def test_an_entry_has_every_field_of_the_sdk(listed):
    row = (await listed.client.get("/v1/models")).json["data"][0]
    info = anthropic.types.ModelInfo.model_validate(row)
    assert (info.id, info.max_input_tokens, info.max_tokens) == ("claude-big", 128000, 8000)
    assert info.display_name == "claude-big → up-1"


async def test_pages_follow_each_other_by_after_id_and_before_id(listed):
    first = (await listed.client.get("/v1/models?limit=1")).json
    assert first["has_more"] is True
    second = (await listed.client.get("/v1/models?limit=1&after_id=" + first["last_id"])).json
    assert second["data"][0]["id"] == "vendor/model:x"
    back = (await listed.client.get("/v1/models?limit=1&before_id=" + second["first_id"])).json
    assert back["data"][0]["id"] == "claude-big"


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x"])
async def test_a_limit_out_of_range_is_refused(listed, limit):
    answer = await listed.client.get(f"/v1/models?limit={limit}")
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")


async def test_retired_models_are_none(listed):
    assert (await listed.client.get("/v1/models?lifecycle=retired")).json["data"] == []


async def test_one_model_by_an_id_with_slash_and_colon(listed):
    answer = await listed.client.get("/v1/models/vendor/model:x")
    assert answer.json["id"] == "vendor/model:x"


async def test_an_unknown_model_is_not_found(listed):
    answer = await listed.client.get("/v1/models/nope")
    assert (answer.status, answer.json["error"]["message"]) == (404, "model: nope")


async def test_a_key_sees_only_its_models(bench):
    bench.configure(rules=[rule("a", id=1), rule("b", id=2)], keys=[key_entry("k", allowed_models=("a",))])
    answer = await bench.client.get("/v1/models", headers={"x-api-key": "k"})
    assert [row["id"] for row in answer.json["data"]] == ["a"]
    assert (await bench.client.get("/v1/models/b", headers={"x-api-key": "k"})).status == 404


@pytest.mark.parametrize("path", ["/v1/models?limit=1000", "/v1/models/claude-big", "/"])
@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": "k"},
        {"authorization": "Bearer k"},
        {"x-api-key": "k", "authorization": "Bearer k"},
        {"x-api-key": "other", "authorization": "Bearer k"},
    ],
)
async def test_either_header_opens_the_list_at_once_and_without_a_redirect(bench, path, headers):
    bench.configure(rules=[rule("claude-big")], keys=[key_entry("k")])
    bench.client.headers.clear()
    for method in ("HEAD",) if path == "/" else ("GET", "HEAD"):
        answer = await bench.client.request(method, path, headers=headers)
        assert answer.status == 200
        assert "location" not in answer.headers
    assert bench.provider.requests == []


async def test_the_list_needs_a_key_when_there_are_keys(bench):
    bench.configure(keys=[key_entry("k")])
    assert (await bench.client.get("/v1/models")).status == 401
