"""What docs/operations.md offers to copy: it parses, and agrees with the gateway's times and names."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ccproxy_site.environment import VARIABLES
from gateway.conf import SETTLING_SECONDS, GatewayConf

DEPLOY = Path(__file__).parents[2] / "deploy"


def manifests() -> dict[str, dict]:
    return {part["kind"]: part for part in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}


def test_the_manifests_name_probes_that_exist_and_variables_that_count():
    pod = manifests()["StatefulSet"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert container["livenessProbe"]["httpGet"]["path"] == "/health"
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert {variable["name"] for variable in container["env"]} <= set(VARIABLES)


def test_a_pod_has_the_time_that_a_stop_takes_at_its_longest():
    pod = manifests()["StatefulSet"]["spec"]["template"]["spec"]
    wait = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] >= wait + GatewayConf().stop_grace + SETTLING_SECONDS


def test_the_service_finds_the_pods():
    kinds = manifests()
    labels = kinds["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert kinds["Service"]["spec"]["selector"] == labels


def test_the_pods_of_the_set_have_names_of_their_own():
    parts = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    headless = {part["metadata"]["name"] for part in parts if part["spec"].get("clusterIP") == "None"}
    assert manifests()["StatefulSet"]["spec"]["serviceName"] in headless


def test_a_job_can_be_made_again_with_the_next_release_and_goes_away():
    job = manifests()["Job"]
    assert "name" not in job["metadata"] and job["metadata"]["generateName"]
    assert job["spec"]["ttlSecondsAfterFinished"] > 0
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["run", "--prepare"]


@pytest.mark.parametrize("kind", ["Job", "StatefulSet"])
def test_a_pod_may_do_nothing_that_it_does_not_need(kind):
    pod = manifests()[kind]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] and pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}


def test_the_systemd_unit_waits_as_long():
    unit = (DEPLOY / "ccproxy.service").read_text()
    (line,) = [line for line in unit.splitlines() if line.startswith("TimeoutStopSec=")]
    assert int(line.partition("=")[2]) >= GatewayConf().stop_grace + SETTLING_SECONDS


def test_a_container_has_the_time_that_a_stop_takes():
    gateway = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["ccproxy"]
    assert int(gateway["stop_grace_period"].removesuffix("s")) >= GatewayConf().stop_grace + SETTLING_SECONDS


def test_the_composition_names_variables_that_count():
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert set(services["ccproxy"]["environment"]) <= set(VARIABLES)
    assert set(services["ccproxy"]["depends_on"]) <= set(services)
    assert all("healthcheck" in services[name] for name in services["ccproxy"]["depends_on"])


def test_the_image_runs_as_nobody_in_particular_and_keeps_its_data_in_the_volume():
    lines = [line.split() for line in (DEPLOY.parent / "Dockerfile").read_text().splitlines() if line.strip()]
    assert ["USER", "10001:0"] in lines and ["VOLUME", "/data"] in lines
    assert lines[-1] == ["CMD", '["run"]']


def test_the_image_takes_only_what_it_needs():
    let_in = [
        line[1:] for line in (DEPLOY.parent / ".dockerignore").read_text().splitlines() if line[0] == "!"
    ]
    assert {"manage.py", "ccproxy_site", "gateway", "requirements.lock"} <= set(let_in)
    assert not {".env", "data", ".git", "tests"} & set(let_in)


def tool(name):
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:/usr/bin:/usr/local/bin")
    if found is None:
        pytest.skip(f"NOT TESTED: no {name}")
    return found


def test_hadolint_has_nothing_to_say():
    done = subprocess.run(
        [tool("hadolint"), str(DEPLOY.parent / "Dockerfile")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_systemd_takes_the_units(tmp_path):
    """Programs and folders are of this machine: systemd looks whether they are there."""
    service = (DEPLOY / "ccproxy.service").read_text()
    here = service.replace("/opt/ccproxy/.venv/bin/python", sys.executable)
    (tmp_path / "ccproxy.service").write_text(here.replace("/opt/ccproxy", str(tmp_path)))
    shutil.copy(DEPLOY / "ccproxy.socket", tmp_path)
    units = [str(tmp_path / "ccproxy.service"), str(tmp_path / "ccproxy.socket")]
    done = subprocess.run([tool("systemd-analyze"), "verify", *units], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if "ccproxy" in line]
    assert ours == []
