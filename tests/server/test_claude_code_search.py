"""Claude Code's WebSearch tool through a real gateway with a search engine; CLAUDE_CODE names the program."""

import asyncio
import json
import os
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.fakes.provider import SSE, Answer, FakeProvider, chunk, stream
from tests.fakes.search_engine import FakeSearchEngine
from tests.server.conftest import environment, manage

pytestmark = [
    pytest.mark.server,
    pytest.mark.once,
    pytest.mark.skipif("CLAUDE_CODE" not in os.environ, reason="NOT TESTED: CLAUDE_CODE names no program"),
]
QUERY = "django framework"
LINK = "https://www.djangoproject.com/start/"
RESULTS = {"results": [{"title": "Getting started", "url": LINK, "content": "A framework of the web."}]}
# seconds, on a busy machine
PATIENCE = 90.0


class Model(FakeProvider):
    """Calls WebSearch once, says something about what the gateway found, and ends.

    `searched`: the requests with what was found; `told`: what the tool gave back to the model.
    """

    def __init__(self):
        super().__init__()
        self.searched, self.told = [], []

    def answer_to(self, request):
        body = request.body
        results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
        offered = [tool["function"]["name"] for tool in body.get("tools", ())]
        if results:
            self.told = results
            return stream("That is all.")
        if "WebSearch" in offered:
            return _call("WebSearch", {"query": QUERY})
        self.searched.append(body)
        return stream("Django is a framework.")


def _call(name, arguments):
    function = {"name": name, "arguments": json.dumps(arguments)}
    called = {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]}
    return Answer(headers=SSE, pieces=[chunk(called), chunk({}, "tool_calls"), b"data: [DONE]\n\n"])


@pytest.fixture
async def model():
    fake = await Model().start()
    yield fake
    await fake.stop()


@pytest.fixture
async def engine():
    fake = await FakeSearchEngine(RESULTS).start()
    yield fake
    await fake.stop()


async def claude(served, home, prompt):
    """The lines that Claude Code prints, parsed."""
    process = await asyncio.create_subprocess_exec(
        os.environ["CLAUDE_CODE"], "-p", prompt, "--allowedTools", "WebSearch",
        "--output-format", "stream-json", "--verbose",
        cwd=home, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "ANTHROPIC_BASE_URL": served.url,
            "ANTHROPIC_AUTH_TOKEN": "anything",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        },
    )  # fmt: skip
    try:
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    except TimeoutError:
        process.kill()
        raise
    return [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]


def results_in(lines):
    """The content of each tool result that Claude Code printed."""
    return [
        block["content"]
        for line in lines
        if line["type"] == "user"
        for block in line["message"]["content"]
        if block["type"] == "tool_result"
    ]


async def test_what_the_search_engine_found_reaches_claude_code(serve, model, engine, tmp_path):
    served = serve(OPENAI_BASE_URL=model.base_url, BIG_MODEL="m", MIDDLE_MODEL="m", SMALL_MODEL="m")
    record = f"SearchEngine.objects.create(name='E', kind='searxng', base_url='{engine.base_url}')"
    manage("shell", "-c", f"from gateway.models import *\n{record}", env=environment(served.data))
    home = tmp_path / "home"
    home.mkdir()
    lines = await claude(served, home, "What is Django? Search the web.")
    (result,) = results_in(lines)
    assert LINK in result and "Getting started" in result
    assert "Django is a framework." in result
    assert lines[-1]["result"] == "That is all."
    (asked,) = engine.asked
    assert parse_qs(urlsplit(asked[0].split(" ")[1]).query)["q"] == [QUERY]
    (searched,) = model.searched
    assert "tools" not in searched
    assert LINK in str(searched["messages"])
    assert LINK in str(model.told)
