"""What docs/operations.md offers to copy: it parses, and agrees with the gateway's times and names."""

from pathlib import Path

import yaml

from ccproxy_site.environment import SCHEME
from gateway.conf import SETTLING_SECONDS, GatewayConf

DEPLOY = Path(__file__).parents[2] / "deploy"


def manifests() -> dict[str, dict]:
    return {part["kind"]: part for part in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}


def test_the_manifests_name_probes_that_exist_and_variables_that_count():
    pod = manifests()["StatefulSet"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert container["livenessProbe"]["httpGet"]["path"] == "/health"
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert {variable["name"] for variable in container["env"]} <= set(SCHEME)


def test_a_pod_has_the_time_that_a_stop_takes_at_its_longest():
    pod = manifests()["StatefulSet"]["spec"]["template"]["spec"]
    wait = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] >= wait + GatewayConf().stop_grace + SETTLING_SECONDS


def test_the_service_finds_the_pods():
    kinds = manifests()
    labels = kinds["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert kinds["Service"]["spec"]["selector"] == labels


def test_the_systemd_unit_waits_as_long():
    unit = (DEPLOY / "ccproxy.service").read_text()
    (line,) = [line for line in unit.splitlines() if line.startswith("TimeoutStopSec=")]
    assert int(line.partition("=")[2]) >= GatewayConf().stop_grace + SETTLING_SECONDS
