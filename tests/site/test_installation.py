"""What `make run` does before anything is installed."""

import os
import stat

import pytest

from ccproxy_site import installation

LOCK = (
    "one==1.0 \\\n    --hash=sha256:00\ntwo==2.0 ; python_full_version < '3.11.3' \\\n    --hash=sha256:00\n"
)


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A virtual environment whose Python is a script that writes down what it is called with."""
    monkeypatch.setattr(installation.shutil, "which", lambda name: None)
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    (tmp_path / "lock").write_text(LOCK)

    def environment(script):
        python.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n{script}\n')
        python.chmod(python.stat().st_mode | stat.S_IXUSR)
        return tmp_path

    return environment


def test_the_lock_is_installed_without_resolving_or_compiling(environment, capsys):
    folder = environment("echo Collecting one")
    installation.main([str(folder / "venv"), str(folder / "lock")])
    version, install = (folder / "calls").read_text().splitlines()
    assert version == "-m pip --version"
    assert "--require-hashes" in install and "--no-deps" in install and "--no-compile" in install
    assert "Installing 2 packages" in capsys.readouterr().out


def test_what_pip_says_is_shown_when_it_fails(environment, capsys):
    folder = environment('case "$*" in *install*) echo no space left; exit 1;; esac')
    with pytest.raises(SystemExit, match="could not be installed"):
        installation.main([str(folder / "venv"), str(folder / "lock")])
    assert "no space left" in capsys.readouterr().out


def test_an_optional_package_without_a_wheel_is_left_out(environment, capsys):
    folder = environment('case "$*" in *only-binary*) exit 1;; esac')
    installation.main([str(folder / "venv"), str(folder / "lock"), "--optional", str(folder / "lock")])
    assert "tokens are estimated more roughly" in capsys.readouterr().out


def test_an_environment_without_pip_is_made_anew_and_no_half_one_is_left(environment, monkeypatch):
    folder = environment("exit 1")
    answers = {"--version": (1, "No module named pip"), "--clear": (1, "ensurepip is not available")}
    monkeypatch.setattr(
        installation, "_quiet", lambda command: next(answers[word] for word in command if word in answers)
    )
    with pytest.raises(SystemExit, match="python3-venv"):
        installation.main([str(folder / "venv"), str(folder / "lock")])
    assert not os.path.exists(folder / "venv")


def test_a_folder_that_cannot_be_written_is_not_blamed_on_a_missing_package(tmp_path, monkeypatch):
    monkeypatch.setattr(installation.shutil, "which", lambda name: None)
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="Cannot write to") as said:
        installation.main([str(tmp_path / "file" / "venv"), str(tmp_path / "lock")])
    assert "apt" not in str(said.value)


@pytest.fixture
def bundled(tmp_path, monkeypatch):
    """No environment and no uv on the PATH; what `venv` and the pip of Python do is written down.

    `bundled(settings, uv)`: what pip's settings are, and the script that its uv is, None for no wheel.
    """
    monkeypatch.setattr(installation.shutil, "which", lambda name: None)
    monkeypatch.setattr(installation, "_bundled_pip", lambda: "/pip.whl/pip")
    (tmp_path / "lock").write_text(LOCK)
    programs = tmp_path / "venv" / "bin"

    def bundled(settings, uv):
        def program(name, script):
            programs.mkdir(parents=True, exist_ok=True)
            (programs / name).write_text(f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/calls\n{script}\n')
            (programs / name).chmod(0o700)

        def quiet(command):
            if "venv" in command:
                program("python", "")
            elif "list" in command:
                return 0, settings
            elif uv is None:
                return 1, "No matching distribution found for uv"
            else:
                assert "--require-hashes" in command and str(installation.INSTALLER) in command
                program("uv", uv)
            return 0, ""

        monkeypatch.setattr(installation, "_quiet", quiet)
        installation.main([str(tmp_path / "venv"), str(tmp_path / "lock")])
        return (tmp_path / "calls").read_text().splitlines()

    return bundled


def test_the_pip_of_python_brings_a_uv_that_installs_the_rest(bundled):
    (call,) = bundled("global.extra-index-url='https://more.example'\n", "")
    assert call.startswith("uv pip install") and "--require-hashes" in call and "--no-deps" in call


@pytest.mark.parametrize("setting", ["global.index-url='https://own.example'", ":env:.no-index='1'"])
def test_where_pip_is_told_of_another_index_pip_installs(bundled, setting):
    (call,) = bundled(setting, "")
    assert call.startswith("python -m pip install")


def test_without_a_wheel_of_uv_pip_installs(bundled):
    (call,) = bundled("", None)
    assert call.startswith("python -m pip install")


def test_pip_installs_what_uv_cannot(bundled, capsys):
    uv, pip = bundled("", "echo no route to host; exit 2")
    assert uv.startswith("uv pip install") and pip.startswith("python -m pip install")
    assert "no route to host" in capsys.readouterr().out


def test_the_pip_that_comes_with_this_python_is_found():
    found = installation._bundled_pip()
    assert found is None or os.path.isfile(os.path.dirname(found))
