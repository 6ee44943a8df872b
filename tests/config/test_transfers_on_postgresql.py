"""A key that is given to somebody else while its owner signs a machine in, at processes on one PostgreSQL."""

import subprocess

import psycopg
import pytest

from tests.config.test_renewals_on_postgresql import said, shell
from tests.server.conftest import environment, manage

pytestmark = [pytest.mark.server, pytest.mark.once]

START = """
from django.contrib.auth import get_user_model
from django.utils import timezone
from gateway.config import sign_in
from gateway.models import ClientKey
ada, eve = (get_user_model().objects.create_user(name) for name in ("ada", "eve"))
key, _ = ClientKey.issue("ada's", user=ada)
if SIGNED_IN:
    ClientKey.issue("a sign-in of before", user=ada, origin="sign_in", lineage=key.pk)
sign_in.begin("10.0.0.7", "c", timezone.now())
print(key.pk)
"""
# each does its part, says so, and commits when it is told to
APPROVE = """
import sys
from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone
from gateway.config import sign_in
from gateway.models import DeviceGrant
ada, grant = get_user_model().objects.get(username="ada"), DeviceGrant.objects.get()
with transaction.atomic():
    print("begins", flush=True)
    sign_in.approve(grant, ada, timezone.now())
    print("done", flush=True)
    sys.stdin.readline()
"""
GIVE_AWAY = """
import sys
from django.contrib.auth import get_user_model
from django.db import transaction
from gateway.models import ClientKey
key = ClientKey.objects.exclude(origin="sign_in").get()
key.user = get_user_model().objects.get(username="eve")
with transaction.atomic():
    print("begins", flush=True)
    key.save()
    print("done", flush=True)
    sys.stdin.readline()
"""
LINES = """
import json
from gateway.models import ClientKey
print(json.dumps([[one.user.username, one.lineage or one.pk] for one in ClientKey.objects.all()]))
"""
WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def until_one_waits(url: str) -> None:
    """Until the database says that a transaction waits for the lock of another."""
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(WAITING).fetchone() == (0,):
            connection.execute("SELECT pg_sleep(0.01)")


def told(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout.readline() == word + "\n", process.stderr.read()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("signed_in", [False, True], ids=["first sign-in", "second sign-in"])
@pytest.mark.parametrize("first", [APPROVE, GIVE_AWAY], ids=["approved first", "given away first"])
def test_a_key_given_away_during_an_approval_shares_no_limits_with_the_new_sign_in(
    postgres, tmp_path, first, signed_in
):
    url = postgres.create(f"transfer_{'ag'[first is GIVE_AWAY]}{int(signed_in)}")
    env = environment(tmp_path, DATABASE_URL=url)
    manage("migrate", "--verbosity", "0", env=env)
    said(env, f"SIGNED_IN = {signed_in}\n" + START)
    both = [shell(env, first)]
    try:
        told(both[0], "begins")
        told(both[0], "done")
        # it holds the lock: only now may the other one begin
        both.append(shell(env, GIVE_AWAY if first is APPROVE else APPROVE))
        told(both[1], "begins")
        until_one_waits(url)
        for one in both:
            # the second goes on as soon as the first has committed
            _rest, problems = one.communicate("go\n", timeout=60)
            assert one.returncode == 0, problems
    finally:
        for one in both:
            one.kill()
            one.wait()
    lines = said(env, LINES)
    assert len(lines) == 2 + signed_in
    of = {name: {line for owner, line in lines if owner == name} for name in ("ada", "eve")}
    assert of["ada"] and of["eve"] and not of["ada"] & of["eve"]
