"""Two processes on one PostgreSQL look at one ramp: one decision is made, once."""

import os
import subprocess
import sys

import psycopg
import pytest

from tests.server.conftest import ROOT, environment, manage

pytestmark = [pytest.mark.server, pytest.mark.once]

SEED = """
from django.utils import timezone
from gateway.models import ModelMapping, Provider, Ramp, RequestLog
provider = Provider.objects.create(name="P", slug="p", base_url="http://p/v1")
mapping = ModelMapping.objects.create(pattern="*")
mapping.lead_to(provider, "old")
target = mapping.lead_to(provider, "new")
now = timezone.now()
Ramp.objects.create(mapping=mapping, target=target, steps=[{"share": 50, "seconds": 86400}], guard_errors=5,
                    guard_sessions=1, state="running", step_since=now - timezone.timedelta(minutes=5))
RequestLog.objects.bulk_create(RequestLog(
    request_id=str(number), mapping_pk=mapping.pk, arm="p/new", state="error", attempts=1,
    session_id=str(number)) for number in range(20))
assert len(set(ModelMapping.objects.values_list("salt", flat=True)) - {""}) == 1
"""
# both are ready before either looks, and no lease keeps them apart
LOOK = """
import sys
from pathlib import Path
from django.utils import timezone
from gateway.models import Ramp
from gateway.watch import ramps
Ramp.objects.count()
print("ready", flush=True)
sys.stdin.readline()
for _ in range(20):
    ramps.look(timezone.now())
"""


def test_two_processes_make_one_decision_once(migrated_postgres, tmp_path):
    url = migrated_postgres("ramps")
    env = environment(tmp_path, DATABASE_URL=url)
    manage("shell", "--verbosity", "0", "--command", SEED, env=env)
    lookers = [
        subprocess.Popen(
            [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", LOOK],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        for looker in lookers:
            assert looker.stdout.readline() == "ready\n", looker.stderr.read()
        for looker in lookers:
            looker.stdin.write(os.linesep)
            looker.stdin.flush()
        for looker in lookers:
            _, problems = looker.communicate(timeout=120)
            assert looker.returncode == 0, problems
    finally:
        for looker in lookers:
            looker.kill()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT state FROM gateway_ramp").fetchall() == [("rolled_back",)]
        weights = connection.execute("SELECT upstream_model, weight FROM gateway_mappingtarget ORDER BY id")
        assert weights.fetchall() == [("old", 100), ("new", None)]
        decisions = connection.execute(
            "SELECT count(*) FROM django_admin_log WHERE change_message LIKE '%rolled_back%'"
        )
        assert decisions.fetchone() == (1,)
