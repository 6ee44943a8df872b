"""The gateway as its users meet it: a real process, real sockets, the official SDK."""

import asyncio
import contextlib
import json
import signal
import socket

import anthropic
import httpx
import pytest

from tests.conftest import asking
from tests.fakes.provider import Answer, FakeProvider, stream
from tests.server.conftest import KEY, environment, free_port, manage, prepare_database

pytestmark = pytest.mark.server


def raw(served, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                answer += piece
        return answer


@pytest.mark.once
def test_without_a_provider_the_demo_answers_the_sdk_in_a_stream(demo):
    client = anthropic.Anthropic(base_url=demo.url, api_key="anything")
    with client.messages.stream(
        model="claude-sonnet-5", max_tokens=500, messages=[{"role": "user", "content": "Are you there?"}]
    ) as answer:
        message = answer.get_final_message()
    assert "You asked: Are you there?" in message.content[0].text
    assert message.usage.output_tokens > 0


@pytest.mark.once
def test_the_sdk_lists_models_and_counts_tokens(demo):
    client = anthropic.Anthropic(base_url=demo.url, api_key="anything")
    assert client.messages.count_tokens(
        model="claude-x", messages=[{"role": "user", "content": "hi"}]
    ).input_tokens
    assert [model.id for model in client.models.list(limit=1000)]


@pytest.mark.once
@pytest.mark.parametrize(
    "request_text",
    [
        b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /?\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nbad name: x\r\n\r\n",
    ],
)
def test_a_request_the_server_itself_refuses_gets_json_and_no_page(demo, request_text):
    answer = raw(demo, request_text)
    assert b"<html" not in answer
    if b"\r\n\r\n{" in answer:
        body = json.loads(answer.split(b"\r\n\r\n", 1)[1])
        assert body["error"]["type"] == "invalid_request_error"
    else:
        assert answer.startswith(b"HTTP/1.1 400")


@pytest.mark.once
def test_a_body_of_33_mib_is_answered_413_over_a_real_socket(demo):
    answer = httpx.post(
        demo.url + "/v1/messages",
        content=b" " * (33 * 1024 * 1024),
        headers={"content-type": "application/json"},
        timeout=30,
    )
    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "request_too_large"


@pytest.mark.once
def test_a_body_of_8_mib_is_taken(demo):
    body = asking("x" * (8 * 1024 * 1024))
    answer = httpx.post(demo.url + "/v1/messages", json=body, timeout=30)
    assert answer.status_code == 200


@pytest.mark.once
def test_a_form_is_not_parsed(demo):
    answer = httpx.post(demo.url + "/v1/messages", data={"a": "b"})
    assert answer.json()["error"]["message"] == "content-type must be application/json"


@pytest.mark.once
def test_admin_and_its_static_files_are_served_by_the_same_port(demo):
    # the first page loads the admin, which takes a busy machine its time
    page = httpx.get(demo.url + "/admin/login/", timeout=60)
    assert page.status_code == 200
    assert httpx.get(demo.url + "/static/admin/css/base.css").status_code == 200


async def test_what_a_client_received_is_in_the_database_after_a_normal_stop(serve):
    provider = await FakeProvider().start()
    provider.answers("gpt-4o", stream("Hello"))
    served = serve(OPENAI_API_KEY="sk-up", OPENAI_BASE_URL=provider.base_url, ANTHROPIC_API_KEY=KEY)
    client = anthropic.AsyncAnthropic(base_url=served.url, api_key=KEY)
    async with client.messages.stream(
        model="claude-opus-5-5", max_tokens=50, messages=[{"role": "user", "content": "hi"}]
    ) as answer:
        message = await answer.get_final_message()
    assert message.content[0].text == "Hello"
    assert served.stop() == 0
    row = served.rows()[0]
    assert (row["state"], row["asked_model"], row["upstream_model"]) == ("ok", "claude-opus-5-5", "gpt-4o")
    assert (row["input_tokens"], row["output_tokens"], row["key_name"]) == (20, 7, "ANTHROPIC_API_KEY")
    assert served.rows("SELECT COUNT(*) AS n FROM gateway_requestbody")[0]["n"] == 1
    assert served.rows("SELECT COUNT(*) AS n FROM gateway_contentnode")[0]["n"] > 0
    everything = (
        served.log.read_text()
        + str(served.rows())
        + "".join(file.read_bytes().decode("latin1") for file in served.data.glob("ccproxy.sqlite3*"))
    )
    assert "sk-up" not in everything
    assert KEY not in everything
    await provider.stop()


async def test_a_stop_lets_a_stream_go_on_to_its_end_and_takes_nothing_new(serve):
    provider = await FakeProvider().start()
    go_on = asyncio.Event()
    provider.answers("gpt-4o", stream("first", go_on, "second"))
    served = serve(OPENAI_API_KEY="sk-up", OPENAI_BASE_URL=provider.base_url)
    async with httpx.AsyncClient(timeout=20) as client, httpx.AsyncClient(timeout=20) as other:
        await other.get(served.url + "/health/ready")
        request = client.stream("POST", served.url + "/v1/messages", json=asking(model="x", stream=True))
        seen = b""
        async with request as answer:
            async for piece in answer.aiter_bytes():
                seen += piece
                if b"first" in piece:
                    served.process.terminate()
                    ready = await other.get(served.url + "/health/ready")
                    while ready.status_code == 200:
                        ready = await other.get(served.url + "/health/ready")
                    assert ready.status_code == 503
                    refused = await other.post(served.url + "/v1/messages", json=asking(model="x"))
                    assert refused.status_code == 529
                    with pytest.raises(httpx.ConnectError):
                        await httpx.AsyncClient().get(served.url + "/health")
                    go_on.set()
    assert b"second" in seen
    assert b"message_stop" in seen
    assert served.process.wait(10) == 0
    assert [row["state"] for row in served.rows()] == ["ok", "error"]
    await provider.stop()


@pytest.mark.parametrize("streamed", [True, False])
async def test_what_takes_longer_than_the_grace_ends_in_an_error_the_client_understands(serve, streamed):
    provider = await FakeProvider().start()
    slow = stream("first", 30) if streamed else Answer(before_head=[30])
    provider.answers("gpt-4o", slow)
    served = serve(OPENAI_API_KEY="sk-up", OPENAI_BASE_URL=provider.base_url, STOP_GRACE="0.1")
    async with httpx.AsyncClient(timeout=20) as client:
        url = served.url + "/v1/messages"
        asked = asyncio.ensure_future(client.post(url, json=asking(model="x", stream=streamed)))
        await provider.arrived.wait()
        await asyncio.sleep(0.2)
        served.process.terminate()
        answer = await asked
    if streamed:
        assert answer.text.count("event: error") == 1
        assert "message_stop" not in answer.text
    else:
        assert answer.status_code == 529
    assert '"type":"overloaded_error"' in answer.text
    assert served.process.wait(10) == 0
    assert served.rows()[0]["state"] == ("interrupted" if streamed else "error")
    await provider.stop()


@pytest.mark.once
def test_ctrl_c_with_nothing_under_way_stops_at_once(serve):
    served = serve()
    assert served.stop(signal.SIGINT) == 0


@pytest.mark.once
def test_a_port_that_is_taken_is_said_in_one_sentence(serve):
    served = serve()
    second = served.data.parent / "second"
    second.mkdir()
    env = environment(second, PORT=str(served.port))
    prepare_database(second)
    with pytest.raises(Exception) as problem:
        manage("serve", env=env)
    assert "choose another PORT" in problem.value.stderr
    assert "Traceback" not in problem.value.stderr


@pytest.mark.once
def test_runserver_serves_the_same(serve):
    port = str(free_port())
    served = serve("runserver", "--noreload", PORT=port)
    assert httpx.get(served.url + "/health/ready").json()["status"] == "ok"
    assert served.port == int(port)
