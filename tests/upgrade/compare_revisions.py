"""What two revisions say for the same requests, to the client and to the provider.

    python -m tests.upgrade.compare_revisions TREE        a checkout of the other revision

Each revision is started from its own tree, by its own `manage.py serve`, before a provider that is told what
to answer. Every capture of a client (tests/captures) is sent to each of the three protocols, and gets a text,
reasoning with a call, a whole answer, and errors. Then every vector (tests/vectors) is converted by both.
Status, headers and bodies are compared byte for byte, but for ids, times, addresses and sealed state, which
differ from one request to the next, and for estimates of input tokens on the wire: a process corrects them by
what the made-up provider counted before. Those of the vectors are compared. Each difference is printed; the
exit status says whether there were any.
"""

from __future__ import annotations

import asyncio
import difflib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.fakes import messages, provider, responses
from tests.fakes.provider import Answer, FakeProvider

ROOT = Path(__file__).parents[2]
CAPTURES = ROOT / "tests" / "captures"
VECTORS = ROOT / "tests" / "vectors"
KEY = "compare-client-key-0123456789"
MODELS = ("big", "middle", "small")
PATHS = {"chat": "/v1", "responses": "/v1/responses", "messages": "/v1/messages"}
# of the connection, or of this very moment
PASSING = {"date", "content-length", "connection", "host", "x-api-key", "authorization", "server"}
CHANGING = [
    (re.compile(rb"\b(msg|req|toolu|srvtoolu|call|resp|rs|fc|chatcmpl)_[A-Za-z0-9]{8,}"), rb"\1_ID"),
    (re.compile(rb"_gw1_[A-Za-z0-9_-]+"), rb"_gw1_STATE"),
    (re.compile(rb'"(signature|encrypted_content)":"[A-Za-z0-9_.+/=-]{20,}"'), rb'"\1":"STATE"'),
    (re.compile(rb'"\w+":"\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|\+00:00)"'), b'"WHEN"'),
    (re.compile(rb"127\.0\.0\.1:[0-9]+"), b"ADDRESS"),
    (re.compile(rb'"input_tokens":[0-9]+'), b'"input_tokens":ESTIMATE'),
]
# a case in, its result out; the module moved
DRYRUN = """
import json, sys
try:
    from gateway.management import dryrun
except ImportError:
    from gateway.conversion import dryrun
for path in sys.argv[1:]:
    try:
        result = dryrun.run(json.load(open(path)))
    except Exception as problem:
        result = repr(problem)
    print(json.dumps(result, ensure_ascii=False))
"""

REASONING = [
    provider.chunk({"reasoning_content": "First, think. "}),
    provider.chunk({"reasoning_content": "Then act."}),
    provider.chunk({"content": "I look."}),
    provider.chunk(
        {"tool_calls": [{"index": 0, "id": "call_abcdefgh1", "function": {"name": "Bash", "arguments": ""}}]}
    ),
    provider.chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"command":'}}]}),
    provider.chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"ls -l"}'}}]}),
]
CALLED = [provider.chunk({}, "tool_calls"), provider.chunk(usage=provider.USAGE), b"data: [DONE]\n\n"]
SAID = {
    "type": "message",
    "id": "m1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
}
# by protocol: what the provider answers, to a request that is streamed and to one that is not
ANSWERS: dict[str, dict[str, tuple[Answer, Answer]]] = {
    "chat": {
        "text": (provider.stream("Hello", " wörld\n", "!"), provider.completion("Hello wörld\n!")),
        "a call": (
            provider.stream(*REASONING, tail=CALLED),
            provider.completion("I look.", reasoning_content="First, think."),
        ),
        "a limit": (provider.error(429, "slow down", {"retry-after": "7"}),) * 2,
        "a refusal": (provider.error(400, "no such thing", code="bad", param="x"),) * 2,
        "a failure": (Answer(502, {"content-type": "text/html"}, b"<html>bad gateway</html>"),) * 2,
        "an end": (provider.stream("Half", tail=[provider.END]), Answer(200, {}, b"{")),
    },
    "responses": {
        "text": (responses.told(SAID), responses.whole(SAID)),
        "a refusal": (provider.error(400, "no such thing", code="bad", param="x"),) * 2,
    },
    "messages": {
        "text": (messages.told(), messages.whole()),
        "a limit": (messages.error(429, "rate_limit_error", "slow down", {"retry-after": "7"}),) * 2,
    },
}  # fmt: skip


def main() -> int:
    other = Path(sys.argv[1])
    differences = asyncio.run(served_differences(other)) + converted_differences(other)
    for line in differences:
        print(line)
    print(f"{len(differences)} differences")
    return int(bool(differences))


async def served_differences(other: Path) -> list[str]:
    found = []
    for protocol, kinds in ANSWERS.items():
        there, here = await asyncio.gather(said(other, protocol, kinds), said(ROOT, protocol, kinds))
        print(f"{protocol}: {len(here)} exchanges", flush=True)
        for name, before in there.items():
            found += [f"{protocol}, {name}: {line}" for line in difference(before, here[name])]
    return found


async def said(tree: Path, protocol: str, kinds: dict[str, tuple[Answer, Answer]]) -> dict[str, list[bytes]]:
    """By exchange: what went to the client and to the provider, line by line."""
    fake = await FakeProvider().start()
    found: dict[str, list[bytes]] = {}
    try:
        async with gateway(tree, fake.base_url.removesuffix("/v1") + PATHS[protocol]) as client:
            for file in sorted(CAPTURES.glob("*.headers.json")):
                body = file.with_name(file.name.replace(".headers.", ".request."))
                asked = body.read_bytes() if body.exists() else b""
                streamed = bool(asked) and json.loads(asked).get("stream") is True
                for kind, answers in kinds.items() if asked else [("", ())]:
                    for model in MODELS if asked else ():
                        fake.answers(model, answers[0 if streamed else 1])
                    name = f"{file.name.split('.')[0]} {kind}"
                    found[name] = await exchange(client, fake, json.loads(file.read_text()), asked)
    finally:
        await fake.stop()
    return found


async def exchange(client: httpx.AsyncClient, fake: FakeProvider, head: Any, body: bytes) -> list[bytes]:
    fake.requests.clear()
    headers = [(name, value) for name, value in head["headers"] if name.lower() not in PASSING]
    answer = await client.request(
        head["method"], head["path"], headers=[*headers, ("x-api-key", KEY)], content=body or None
    )
    lines = shown("client", str(answer.status_code), answer.headers.items(), answer.content)
    for asked in fake.requests:
        lines += shown("provider", asked.path, asked.headers.items(), asked.raw)
    return lines


def shown(whom: str, first: str, headers: Iterable[tuple[str, str]], body: bytes) -> list[bytes]:
    lines = [f"{whom}: {first}".encode()]
    lines += sorted(f"{whom}: {k.lower()}: {v}".encode() for k, v in headers if k.lower() not in PASSING)
    lines += [whom.encode() + b": " + line for line in body.split(b"\n")]
    for pattern, instead in CHANGING:
        lines = [pattern.sub(instead, line) for line in lines]
    return lines


@asynccontextmanager
async def gateway(tree: Path, address: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the revision in `tree`, whose provider is at `address`."""
    with tempfile.TemporaryDirectory(prefix="ccproxy-compare-") as folder:
        port = free_port()
        env = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "CCPROXY_ENV_FILE": os.devnull,
            "DATA_DIR": folder,
            "SECRET_KEY": "compare",
            "FIELD_ENCRYPTION_KEYS": "dGVzdHMtb25seS1rZXktb2YtMzItYnl0ZXMtbG9uZyE=",
            "ANTHROPIC_API_KEY": KEY,
            "OPENAI_API_KEY": "sk-compare",
            "OPENAI_BASE_URL": address,
            **dict(zip(("BIG_MODEL", "MIDDLE_MODEL", "SMALL_MODEL"), MODELS, strict=True)),
            "MAX_RETRIES": "0",
            "PORT": str(port),
            "PROCESSES": "1",
        }
        log = Path(folder) / "log"
        with log.open("wb") as written:
            places = {"cwd": tree, "env": env, "stdout": written, "stderr": written}
            migrating = await start("migrate", "--verbosity", "0", **places)
            assert await migrating.wait() == 0, log.read_text()
            serving = await start("serve", **places)
        try:
            address = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=address, timeout=60, trust_env=False) as client:
                while not await ready(client):
                    assert serving.returncode is None, log.read_text()
                    await asyncio.sleep(0.1)
                yield client
        finally:
            if serving.returncode is None:
                serving.terminate()
                await serving.wait()


async def start(*arguments: str, **places: Any) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "manage.py", *arguments, **places)


async def ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health/ready")).status_code == 200
    except httpx.TransportError:
        return False


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def converted_differences(other: Path) -> list[str]:
    paths = sorted(VECTORS.glob("*.json"))
    there, here = (converted(tree, paths) for tree in (other, ROOT))
    print(f"{len(paths)} vectors", flush=True)
    return [
        f"{path.stem}: {line}"
        for path, before, after in zip(paths, there, here, strict=True)
        for line in difference([before], [after])
    ]


def converted(tree: Path, paths: list[Path]) -> list[bytes]:
    env = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, "-c", DRYRUN, *map(str, paths)]
    return subprocess.run(command, cwd=tree, env=env, check=True, capture_output=True).stdout.splitlines()


def difference(before: list[bytes], after: list[bytes]) -> list[str]:
    decoded = ([line.decode("utf-8", "replace") for line in lines] for lines in (before, after))
    lines = difflib.unified_diff(*decoded, lineterm="", n=0)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


if __name__ == "__main__":
    sys.exit(main())
