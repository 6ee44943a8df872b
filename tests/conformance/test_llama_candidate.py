"""A real llama.cpp server as the candidate of an evaluation: one small session, and its report.

    LLAMA_SERVER=http://127.0.0.1:8080 pytest tests/conformance -m llama

What so small a model answers is never looked at: a step may agree, diverge or fail.
"""

from __future__ import annotations

import json

import httpx

from bench.prompt_caching.llama import model_of
from tests.conformance.test_llama import SERVER, pytestmark  # noqa: F401 (marks this module, too)
from tests.evaluation.scenario import RECORDED, request_of, steps_of
from tests.evaluation.test_command import SET_BY_HTTP, provider  # noqa: F401 (a fixture)
from tests.server.conftest import environment, manage, start

SESSION = 1
STARTED = """
from django.contrib.auth import get_user_model
from django.utils import timezone
from gateway.evaluation.selection import StepFilter, make_dataset
from gateway.evaluation.starting import start
user = get_user_model().objects.create_superuser("owner", "", "a-long-password-of-a-test")
dataset = make_dataset(user, "d", StepFilter(), timezone.now())
start(user, dataset, "small", timezone.now(), provider="llama", upstream_model={model!r}, concurrency=1)
"""
REPORTED = """
import html, json, re
from django.contrib.auth import get_user_model
from django.test import Client
from gateway.evaluation.report import report
from gateway.models import Evaluation
found = report(Evaluation.objects.get())
client = Client()
client.force_login(get_user_model().objects.get(username="owner"))
page = client.get("/admin/gateway/evaluation/1/change/", headers={"host": "127.0.0.1"})
shown = html.unescape(re.sub("<[^>]+>", " ", page.content.decode()))
print(json.dumps([page.status_code, " ".join(shown.split()), found.total, found.left]))
"""


def small(number: int, agent: str, step: int):
    """A step of the scenario with short texts, so that a small model on a slow machine is done soon."""
    headers, body = request_of(number, agent, step)
    tools = [
        {"name": tool["name"], "description": tool["name"], "input_schema": tool["input_schema"]}
        for tool in body["tools"]
        if tool["name"] in ("Read", "Bash")
    ]
    body = {**body, "system": "You are an agent.", "tools": tools, "max_tokens": 24}
    return {name: value for name, value in headers.items() if name not in SET_BY_HTTP}, body


def test_a_small_session_is_asked_of_it_and_the_report_shows_what_it_did(tmp_path, provider):  # noqa: F811
    scripted, _loop = provider
    model = model_of(SERVER)
    config = {
        "ccproxy": 1,
        "providers": [
            {"slug": "fake", "name": "Fake", "base_url": scripted.base_url, "auth": "none"},
            {
                "slug": "llama",
                "name": "Llama",
                "base_url": f"{SERVER}/v1",
                "auth": "none",
                "preset": "llama-cpp",
            },
        ],
        "mappings": [{"pattern": "*", "targets": [{"provider": "fake", "upstream_model": RECORDED}]}],
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    served = start(tmp_path, CONFIG_FILE=str(tmp_path / "config.json"), ALLOW_ANONYMOUS="true")
    try:
        for agent, step in steps_of(SESSION):
            headers, body = small(SESSION, agent, step)
            answer = httpx.post(f"{served.url}/v1/messages", json=body, headers=headers, timeout=60)
            assert answer.status_code == 200, answer.text
    finally:
        served.stop()
    env = environment(tmp_path)
    manage("shell", "-v", "0", "-c", STARTED.format(model=model), env=env)
    said = manage("evaluate", "1", env=env).stdout
    assert said.splitlines()[-1] == "done", said
    steps = len(steps_of(SESSION))
    rows = served.rows("SELECT state, verdict, error, first_byte_ms FROM gateway_evaluationstep")
    assert len(rows) == steps
    assert {row["state"] for row in rows} <= {"done", "failed"}
    assert all(row["verdict"] for row in rows if row["state"] == "done")
    assert any(row["state"] == "done" for row in rows), [row["error"] for row in rows]
    status, page, total, left = json.loads(manage("shell", "-v", "0", "-c", REPORTED, env=env).stdout)
    assert (status, total, left) == (200, steps, 0)
    assert f"{model} @ llama" in page
