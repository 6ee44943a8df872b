"""Every path and method has an answer in the client's form."""

import asyncio
import threading

import pytest

from tests.conftest import key_entry, rule


@pytest.mark.parametrize("path", ["/", "/api/hello"])
async def test_the_clients_probe_is_answered_without_credentials(bench, path):
    bench.configure(keys=[key_entry("k")])
    bench.client.headers.clear()
    answer = await bench.client.request("HEAD", path)
    assert answer.status == 200
    assert bench.recorder.ended == []


async def test_the_start_page_is_small_json_for_programs_and_html_for_browsers(bench):
    answer = await bench.client.get("/")
    assert answer.json["messages"] == "/v1/messages"
    page = await bench.client.get("/", headers={"accept": "text/html"})
    assert b"/admin/" in page.text


async def test_health_says_ok(bench):
    assert (await bench.client.get("/health")).json == {"status": "ok"}


@pytest.mark.django_db(transaction=True)
async def test_ready_says_which_configuration_is_followed_while_the_database_answers(bench):
    answer = await bench.client.get("/health/ready")
    followed = bench.gateway.configuration.snapshot.stamp
    assert (answer.status, answer.json) == (200, {"status": "ok", "configuration": followed})


async def test_without_the_database_a_process_stays_in_service_and_says_so(bench, monkeypatch):
    monkeypatch.setattr("gateway.api.ops._database_answers", lambda: False)
    answer = await bench.client.get("/health/ready")
    followed = bench.gateway.configuration.snapshot.stamp
    assert (answer.status, answer.json) == (
        200,
        {"status": "ok", "configuration": followed, "database": "away"},
    )


async def test_a_database_that_hangs_is_looked_at_once_and_holds_up_no_probe(bench, monkeypatch):
    let_go, looks = threading.Event(), []

    def hanging():
        looks.append(1)
        return let_go.wait(30)

    monkeypatch.setattr("gateway.api.ops._database_answers", hanging)
    async with asyncio.timeout(3):
        answers = await asyncio.gather(*(bench.client.get("/health/ready") for _ in range(20)))
        answers.append(await bench.client.get("/health/ready"))
    assert {answer.json["database"] for answer in answers} == {"away"}
    assert len(looks) == 1
    let_go.set()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/nope"),
        ("GET", "/nope"),
        ("POST", "/api/event_logging/batch"),
        ("GET", "/favicon.ico"),
        ("POST", "/v1/messages/x"),
    ],
)
async def test_an_unknown_path_is_not_found_in_json(bench, method, path):
    answer = await bench.client.request(method, path)
    assert answer.status == 404
    assert answer.json["error"] == {"type": "not_found_error", "message": "Not Found"}
    assert answer.json["request_id"] == answer.headers["request-id"]


@pytest.mark.parametrize(
    "path",
    ["/v1/messages/batches", "/v1/messages/batches/b/results", "/v1/files", "/v1/skills", "/v1/complete"],
)
async def test_what_the_gateway_does_not_implement_says_so(bench, path):
    answer = await bench.client.post(path, {})
    assert answer.status == 404
    assert "does not implement" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/messages", "POST"),
        ("DELETE", "/v1/messages", "POST"),
        ("PUT", "/v1/messages/count_tokens", "POST"),
        ("POST", "/v1/models", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_says_which_are_allowed(bench, method, path, allowed):
    answer = await bench.client.request(method, path)
    assert answer.status == 405
    assert answer.headers["allow"] == allowed
    assert answer.json["error"] == {"type": "invalid_request_error", "message": "Method Not Allowed"}


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("POST", "/v1/messages", {"model": "m"}, {}, 400),
        ("POST", "/v1/messages", b"{", {}, 400),
        ("POST", "/v1/messages", b"x", {"content-encoding": "br"}, 400),
        ("POST", "/v1/messages", {"model": "nope"}, {}, 404),
        ("POST", "/v1/messages", {"model": "m"}, {"x-api-key": "wrong"}, 401),
        ("POST", "/v1/messages/count_tokens", {"model": "m"}, {}, 400),
        ("POST", "/v1/messages/count_tokens", {"model": "m"}, {"x-api-key": "wrong"}, 401),
        ("GET", "/v1/messages", b"", {}, 405),
        ("GET", "/v1/models", b"", {}, 200),
        ("GET", "/v1/models?limit=0", b"", {}, 400),
        ("GET", "/v1/models/nope", b"", {}, 404),
        ("GET", "/v1/models", b"", {"x-api-key": "wrong"}, 401),
        ("GET", "/v1/nope", b"", {}, 404),
        ("POST", "/v1/files", b"", {}, 404),
    ],
)
async def test_every_answer_has_a_request_id_and_an_error_the_same_in_its_body(
    bench, method, path, body, headers, status
):
    bench.configure(rules=[rule("m")], keys=[key_entry("k")])
    answer = await bench.client.request(method, path, body, headers={"x-api-key": "k", **headers})
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    assert len(answer.headers["request-id"]) == len("req_") + 24
    if status >= 400:
        assert answer.json["type"] == "error"
        assert answer.json["request_id"] == answer.headers["request-id"]


async def test_an_unexpected_error_is_a_500_without_details(bench, monkeypatch):
    async def broken(*_):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("gateway.api.views.answered", broken)
    answer = await bench.client.messages({})
    assert (answer.status, answer.json["error"]["message"]) == (500, "Internal server error")
