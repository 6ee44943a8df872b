"""The client: installed from npm, run in print mode, and driven on a terminal of tmux."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final

# what the client writes; a release that words it anew is told here
READY: Final = r"manual mode on|auto mode on|accept edits on|\? for shortcuts|(?m:^❯$)"
GATEWAY: Final = r"Cloud gateway"
TRUST: Final = r"Trust gateway"
CODE: Final = r"\b([B-Z0-9]{4}-[B-Z0-9]{4})\b"
ACCOUNT: Final = r"Signed in to Cloud gateway as"
CONNECTED: Final = r"Connected to Cloud gateway"
# an answered dialog leaves its title on the screen of older releases
APPROVAL: Final = r"Yes, I trust these settings"
OFFER: Final = r"Make auto mode your default permission mode"
USED: Final = r"You've used (\d+)% of your usage credits"
SIGN_IN_AGAIN: Final = r"Please run /login"
SIGNED_OUT: Final = r"Successfully logged out"
NEW_CERTIFICATE: Final = r"TLS certificate (for this gateway has )?changed"
INCOMPATIBLE: Final = r"isn't compatible with this update"
_PACKAGE: Final = "@anthropic-ai/claude-code"


def installed(version: str, cache: Path) -> tuple[str, Path]:
    """The version's number and its program; `latest` and the like are looked up."""
    folder = cache / version
    program = folder / "node_modules/.bin/claude"
    if version == "latest" or not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [
            "npm",
            "install",
            "--no-audit",
            "--no-fund",
            "--prefix",
            str(folder),
            f"{_PACKAGE}@{version}",
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=600)
    manifest = json.loads((folder / "node_modules" / _PACKAGE / "package.json").read_text())
    return manifest["version"], program


class Home:
    """A home folder of its own, and what the client is started with.

    `machine`: the machine's own policy file, which a mount namespace shows to the client in /etc; None: none.
    `variables`: more of its environment.
    """

    def __init__(
        self,
        program: Path,
        *,
        machine: dict[str, Any] | None = None,
        variables: dict[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self.program, self.machine, self.variables = program, machine, variables or {}
        self.path = Path(tempfile.mkdtemp(prefix="compat-"))
        self.work = self.path / "work"
        (self.path / ".claude").mkdir()
        self.work.mkdir()
        first = {
            "hasCompletedOnboarding": True,
            "theme": "dark",
            "lastOnboardingVersion": "9.9.9",
            "numStartups": 5,
        }
        trusted = {str(self.work): {"hasTrustDialogAccepted": True}}
        (self.path / ".claude.json").write_text(json.dumps({**first, "projects": trusted}))
        self.set(**settings)

    def set(self, **settings: Any) -> None:
        """The settings file of the person."""
        (self.path / ".claude/settings.json").write_text(json.dumps(settings))

    def command(self, *arguments: str) -> list[str]:
        """The client's command line."""
        command = [str(self.program), *arguments]
        if self.machine is None:
            return command
        folder = self.path / "machine"
        for name in ("upper/claude-code", "work"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "upper/claude-code/managed-settings.json").write_text(json.dumps(self.machine))
        layers = f"lowerdir=/etc,upperdir={folder}/upper,workdir={folder}/work"
        script = f'mount -t overlay overlay -o {layers} /etc && exec "$@"'
        return ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh", *command]

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "HOME": str(self.path), "PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8",
            "HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1,localhost", "BROWSER": "/bin/true", "DISABLE_AUTOUPDATER": "1",
            "DISABLE_INSTALLATION_CHECKS": "1", "IS_SANDBOX": "1", **self.variables, **more,
        }  # fmt: skip

    def printed(self, prompt: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """`claude -p`."""
        return subprocess.run(
            self.command("-p", prompt, *arguments), env=self.environment(**more), cwd=self.work,
            capture_output=True, text=True, timeout=180, stdin=subprocess.DEVNULL,
        )  # fmt: skip


class Terminal:
    """One session of a tmux server of ours."""

    _socket = f"compat-{os.getpid()}"

    def __init__(self, home: Home, *arguments: str) -> None:
        pairs = " ".join(shlex.quote(f"{name}={value}") for name, value in home.environment().items())
        line = f"cd {home.work} && env -i {pairs} {shlex.join(home.command(*arguments))}; sleep 3600"
        self._name = f"t{time.monotonic_ns()}"
        self._tmux("new-session", "-d", "-s", self._name, "-x", "150", "-y", "48", line)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._tmux("kill-session", "-t", self._name)

    def screen(self) -> str:
        text = self._tmux("capture-pane", "-p", "-J", "-t", f"={self._name}:")
        return "\n".join(line.rstrip() for line in text.split("\n") if line.strip())

    def press(self, *keys: str) -> None:
        for key in keys:
            self._tmux("send-keys", "-t", f"={self._name}:", key)
            time.sleep(0.6)

    def say(self, text: str) -> None:
        self._tmux("send-keys", "-t", f"={self._name}:", "-l", text)
        time.sleep(1.0)
        self.press("Enter")

    def sees(self, pattern: str, seconds: float = 60.0, *, beside: str = "") -> re.Match[str]:
        """Wait until the pattern stands on the screen, without the text `beside`. Raises AssertionError."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            text = self.screen()
            found = re.search(pattern, text.replace(beside, "") if beside else text)
            if found:
                return found
            time.sleep(0.4)
        raise AssertionError(f"not on the screen: {pattern}\n{self.screen()[-600:]}")

    def settled(self) -> bool:
        """Wait for the prompt; whether a policy had to be approved before."""
        asked = False
        quiet = 0
        end = time.monotonic() + 180
        while quiet < 4:
            assert time.monotonic() < end, f"it asks again and again\n{self.screen()[-600:]}"
            self.sees(f"{READY}|{APPROVAL}|{OFFER}", 90)
            screen = self.screen()
            if re.search(APPROVAL, screen):
                asked, quiet = True, 0
                self.press("Enter")
                time.sleep(2.0)
            elif re.search(OFFER, screen):
                quiet = 0
                self.press("Down", "Enter")
            else:
                quiet += 1
                time.sleep(0.5)
        return asked

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-L", self._socket, "-f", "/dev/null", *arguments]
        return subprocess.run(command, capture_output=True, text=True).stdout
