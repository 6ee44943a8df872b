"""A release has one name, and its lock files say exactly what is installed."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gateway import __version__

ROOT = Path(__file__).parent.parent
LOCKS = {
    "requirements.lock": "requirements.txt",
    "requirements-optional.lock": "requirements-optional.txt",
    "requirements-dev.lock": "requirements-dev.txt",
    "requirements-release.lock": "requirements-release.txt",
    "requirements-installer.lock": "requirements-installer.txt",
}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def entries(lock):
    """Each entry of a lock file: its requirement, and the lines of its hashes."""
    text = (ROOT / lock).read_text()
    for entry in re.split(r"\n(?=\S)", text.strip()):
        first, *rest = [line.strip().rstrip("\\").strip() for line in entry.splitlines()]
        yield Requirement(first), rest


def asked(requirements):
    for line in (ROOT / requirements).read_text().splitlines():
        if line.startswith("-r "):
            yield from asked(line.removeprefix("-r "))
        elif line and not line.startswith("#"):
            yield Requirement(line)


def test_the_newest_change_is_the_version_of_the_package():
    found = re.search(r"^## (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert found[1] == __version__


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_of_a_lock_has_one_version_and_its_hashes(lock):
    for requirement, hashes in entries(lock):
        assert re.fullmatch(r"==[^,*]+", str(requirement.specifier)), requirement
        assert hashes and all(line.startswith("--hash=sha256:") for line in hashes), requirement
        assert requirement.url is None


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_what_its_requirements_ask_for_and_no_address(lock):
    text = (ROOT / lock).read_text()
    assert "://" not in text and "index" not in text.replace("-index", "")
    locked = {canonicalize_name(requirement.name): requirement for requirement, _ in entries(lock)}
    for requirement in asked(LOCKS[lock]):
        found = locked[canonicalize_name(requirement.name)]
        version = str(found.specifier).removeprefix("==")
        assert requirement.specifier.contains(version, prereleases=True), requirement


def test_the_locks_agree_with_each_other():
    versions = {}
    for lock in LOCKS.keys() - {"requirements-release.lock"}:
        for requirement, _ in entries(lock):
            versions.setdefault(requirement.name, set()).add(str(requirement.specifier))
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_every_python_gets_the_same_django():
    found = [requirement for requirement, _ in entries("requirements.lock") if requirement.name == "django"]
    for python in PYTHONS:
        environment = {"python_version": python, "python_full_version": f"{python}.5"}
        applying = [each for each in found if each.marker is None or each.marker.evaluate(environment)]
        assert len(applying) == 1


def test_the_package_takes_every_file_of_its_folders_along():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    taken = {pattern.rpartition(".")[2] for pattern in settings["package-data"]["*"]} | {"py"}
    if not (ROOT / ".git").exists():
        pytest.skip("NOT TESTED: not a clone")
    command = ["git", "ls-files", "gateway", "ccproxy_site"]
    files = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    assert {Path(file).suffix.removeprefix(".") for file in files if file} <= taken
