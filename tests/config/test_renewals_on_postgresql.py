"""Processes on one PostgreSQL that renew together: one machine goes on, two holders are found out."""

import json
import os
import subprocess
import sys

import pytest

from tests.server.conftest import ROOT, environment, manage

pytestmark = [pytest.mark.server, pytest.mark.once]

START = """
import json
from datetime import datetime, timedelta, UTC
from django.contrib.auth import get_user_model
from gateway.config import sign_in
NOW, KEYS = datetime(2026, 12, 1, tzinfo=UTC), (b"k" * 32,)
ada = get_user_model().objects.create_user("ada")
begun = sign_in.begin("10.0.0.7", "c", NOW)
sign_in.approve(sign_in.waiting(begun.user_code, NOW), ada, NOW)
first = sign_in.poll(begun.device_code, NOW, KEYS, lambda _: True).refresh_token
second = sign_in.renew(first, NOW, KEYS).refresh_token
print(json.dumps([first, second]))
"""
# all are ready before any renews
RENEW = """
import json, os, sys
from datetime import datetime, timedelta, UTC
from gateway.config import sign_in
from gateway.models import RefreshToken
RefreshToken.objects.count()
print("ready", flush=True)
token, seconds = json.loads(sys.stdin.readline())
now = datetime(2026, 12, 1, tzinfo=UTC) + timedelta(seconds=seconds)
try:
    print("ok", sign_in.renew(token, now, (b"k" * 32,)).refresh_token)
except sign_in.SignInRefused as refusal:
    print(refusal.code)
"""
ENDED = "from gateway.models import ClientKey; print(ClientKey.objects.filter(revoked_at=None).count())"


def shell(env, code):
    return subprocess.Popen(
        [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", code],
        cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def said(env, code):
    words, problems = shell(env, code).communicate(timeout=120)
    assert words, problems
    return json.loads(words)


def at_once(env, *asked):
    """What each of these renewals is told; each in a process of its own."""
    renewing = [shell(env, RENEW) for _ in asked]
    try:
        for one in renewing:
            assert one.stdout.readline() == "ready\n", one.stderr.read()
        for one, what in zip(renewing, asked, strict=True):
            one.stdin.write(json.dumps(what) + os.linesep)
            one.stdin.flush()
        return [one.communicate(timeout=120)[0].strip() for one in renewing]
    finally:
        for one in renewing:
            one.kill()
            one.wait()


def test_processes_that_renew_at_the_same_moment(postgres, tmp_path):
    env = environment(tmp_path, DATABASE_URL=postgres.create("renewals"))
    manage("migrate", "--verbosity", "0", env=env)
    first, _second = said(env, START)
    # three of one machine, whose token has been used a moment ago, and whose answer was lost hours ago
    for seconds in (5, 7_200):
        told = at_once(env, *[(first, seconds)] * 3)
        assert [words.partition(" ")[0] for words in told] == ["ok"] * 3
        assert len(set(told)) == 3
    # one holder of the old token and one of its successor: whoever comes first, the sign-in is over
    newest = told[0].partition(" ")[2]
    told = at_once(env, (first, 20_000), (newest, 20_000))
    assert sorted(words.partition(" ")[0] for words in told) == ["invalid_grant", "ok"]
    assert said(env, ENDED) == 0
