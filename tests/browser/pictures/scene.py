"""What the pictures show: people, keys, providers, policies, rules and requests."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import httpx

from tests.browser.asking import ask, recorded
from tests.browser.conftest import ADMIN, Console
from tests.browser.pictures.agent_session import TURNS, run_session
from tests.conftest import asking
from tests.fakes.provider import Answer, chunk, completion, stream
from tests.server.conftest import environment, manage

ROWS = 12_000
PROVIDERS = {"openai": "OpenAI", "azure": "Azure OpenAI", "gemini": "Google Gemini", "llama": "llama.cpp"}
# who runs which client
CLIENTS = {
    "Laptop of Ben": "claude-cli/2.1.197 (external, cli)",
    "CI": "claude-cli/2.1.332 (external, sdk-cli)",
    "Laptop of Dora": "claude-cli/2.1.400 (external, cli)",
}
_CALL = [{"index": 0, "id": "call_1", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}]
# what needs no server: before it starts
STORED = f"""
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils import timezone
from gateway.history.outcome import ExchangeOutcome
from gateway.history.record.rows import write
from gateway.models import ManagedPolicy, SafeguardRule
User.objects.filter(username={ADMIN!r}).update(first_name="Ann", last_name="Holm", email="ann@example.org")
ManagedPolicy.objects.create(name="Everyone", lists_models=True, settings={{
    "companyAnnouncements": ["Questions about Claude Code: #tools"],
    "permissions": {{"deny": ["Read(./.env)", "Bash(curl *)"]}},
}})
rules = [SafeguardRule.objects.create(position=position, **fields) for position, fields in enumerate([
    {{"decision": "deny", "tool": "Bash", "command": "rm -rf *", "explanation": "People delete folders."}},
    {{"decision": "allow", "tool": "Read", "path": "{{cwd}}"}},
    {{"decision": "allow", "tool": "Bash", "command": "git status"}},
], 1)]
judged = {{"rule_id": None, "model": "gpt-6-luna", "check_id": "req_check"}}
for number, verdict in enumerate([
    {{"tool": "Bash", "decision": "deny", "rule_id": rules[0].pk}},
    {{"tool": "Bash", "decision": "allow", "rule_id": rules[2].pk}},
    {{"tool": "Edit", "decision": "allow", **judged, "took_ms": 812}},
    {{"tool": "WebFetch", "decision": "unavailable", **judged, "unavailable": "timeout", "took_ms": 20_004}},
    {{"tool": "Read", "decision": "allow", "rule_id": rules[1].pk}},
    {{"tool": "Bash", "decision": "deny", **judged, "took_ms": 940}},
]):
    write([ExchangeOutcome(
        request_id=f"req_011CVh7Qm{{number}}", started_at=timezone.now() - timedelta(minutes=3 * number + 2),
        endpoint="messages", state="ok", key_name="Sign-in from 10.1.4.7", verdicts=[verdict],
    )])
"""
VERDICTS = 6


@dataclass
class Scene:
    """Numbers of records; `request` is the last of the session. A machine waits to sign in with `code`."""

    request: int
    provider: int
    policy: int
    code: str


def _key(name: str, owner: str, console: Console) -> str:
    said = manage("createclientkey", name, "--owner", owner, env=environment(console.served.data)).stdout
    return re.search(r"ccp_\S+", said)[0]


async def furnished(console: Console) -> Scene:
    """Configuration and requests, by the gateway itself."""
    targets = {
        "claude-opus-*": [("openai", "gpt-6.1-sol"), ("azure", "gpt-6.1-sol")],
        "claude-haiku-*": [("llama", "qwen3-coder")],
        "claude-*": [("openai", "gpt-4o")],
    }
    console.configure(
        providers=[console.provider_section(slug, name) for slug, name in PROVIDERS.items()],
        mappings=[
            {"pattern": pattern, "targets": [{"provider": to, "upstream_model": model} for to, model in led]}
            for pattern, led in targets.items()
        ],
        prices=[{"provider": "openai", "model": "gpt-4o", "input": 2.5, "output": 10, "cache_read": 1.25}],
    )
    await run_session(console, _key("Laptop of Ann", "Ann Holm", console))
    rows = await recorded(console, ROWS + VERDICTS + len(TURNS))
    last = rows[-1]["id"]
    console.provider.answers("gpt-4o", stream("Hello."))
    for name, client in CLIENTS.items():
        key = _key(name, name.removeprefix("Laptop of "), console)
        await ask(console, asking(model="claude-sonnet-5", stream=True), key, **{"user-agent": client})
    await recorded(console, len(rows) + len(CLIENTS))
    models = json.dumps({"object": "list", "data": [{"id": "qwen3-coder", "object": "model"}]}).encode()
    console.provider.answers("/v1/models", Answer(headers={"content-type": "application/json"}, body=models))
    console.provider.answers(
        "qwen3-coder",
        completion("OK"),
        stream(chunk({"tool_calls": _CALL}), tail=[chunk({}, "tool_calls"), b"data: [DONE]\n\n"]),
    )
    async with httpx.AsyncClient(base_url=console.url, trust_env=False) as machine:
        machine.headers["user-agent"] = "claude-code/2.1.332"
        grant = await machine.post("/oauth/device_authorization", data={"surface": "claude_code"})
    [provider] = console.served.rows("SELECT id FROM gateway_provider WHERE slug = 'llama'")
    [policy] = console.served.rows("SELECT id FROM gateway_managedpolicy")
    return Scene(last, provider["id"], policy["id"], grant.json()["user_code"])
