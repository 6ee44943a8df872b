"""Several processes that start in the same second find one configuration, and leave one."""

import json
import subprocess
import sys

import pytest

from gateway.config.file.document import VERSION
from tests.server.conftest import ROOT, environment, prepare_database

pytestmark = pytest.mark.server

PREPARE = "from gateway.app.runtime import runtime; print('ready', flush=True); input(); runtime.prepare()"
COUNT = """
from gateway.models import ModelMapping, Provider
print(Provider.objects.filter(slug="acme").count(), ModelMapping.objects.filter(pattern="fast-*").count(),
      Provider.objects.filter(origin="environment").count())
"""


def shell(code: str, env: dict[str, str], **options) -> subprocess.Popen[str]:
    command = [sys.executable, "manage.py", "shell", "-v", "0", "-c", code]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, env=env, text=True, **pipes, **options)


def test_four_at_once_with_a_configuration_file_make_each_record_once(tmp_path):
    file = tmp_path / "configuration.json"
    provider = {"slug": "acme", "name": "Acme", "base_url": "https://acme.test/v1"}
    mapping = {"pattern": "fast-*", "targets": [{"provider": "acme", "upstream_model": "u"}]}
    file.write_text(json.dumps({"ccproxy": VERSION, "providers": [provider], "mappings": [mapping]}))
    folder = tmp_path / "data"
    folder.mkdir()
    prepare_database(folder)
    env = environment(
        folder, CONFIG_FILE=str(file), OPENAI_API_KEY="sk", OPENAI_BASE_URL="http://127.0.0.1:9/v1"
    )
    starting = [shell(PREPARE, env) for _ in range(4)]
    for process in starting:
        assert process.stdout.readline() == "ready\n"
    for process in starting:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in starting:
        _, problem = process.communicate(timeout=120)
        assert process.returncode == 0, problem
    counted, _ = shell(COUNT, env).communicate(timeout=60)
    assert counted.split() == ["1", "1", "1"]
