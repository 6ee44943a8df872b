"""What each version of the client goes through, in order; an AssertionError says what did not work."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from chaos.engines import HOST
from compat import client
from compat.client import Home, Terminal
from compat.front import Front
from compat.gateway import PERSON, Gateway
from compat.provider import Provider
from gateway.client_protocol.status_line import setting

_ALLOWED: Final = {"decision": "allow", "tool": "Bash", "command": "touch *"}
_HINTS: Final = "CLAUDE_CODE_GATEWAY_HINT_HEADERS"


@dataclass
class Run:
    """One version against one gateway. `home`: the person's, once she has signed in."""

    program: Path
    gateway: Gateway
    provider: Provider
    home: Home | None = None
    number: int = 0

    def word(self) -> str:
        """A word that was not said before."""
        self.number += 1
        return f"w{self.number}{time.monotonic_ns() % 100_000}"

    def with_key(self) -> tuple[Home, dict[str, str]]:
        """A home that knows nothing, and the environment that leads to the gateway."""
        environment = {"ANTHROPIC_BASE_URL": self.gateway.url, "ANTHROPIC_AUTH_TOKEN": self.gateway.key}
        return Home(self.program), environment

    @property
    def signed_in(self) -> Home:
        assert self.home is not None, "the sign-in failed"
        return self.home

    def mode(self, name: str, **more: Any) -> None:
        """The permission mode in which the person's terminals start, and other settings of hers."""
        self.signed_in.set(**more, permissions={"defaultMode": name}, **_leading_to(self.gateway))


@dataclass(frozen=True)
class Scenario:
    """`since`: the first release of the client that can do it; an older one is not asked."""

    title: str
    run: Callable[[Run], None]
    since: tuple[int, int, int] = (0, 0, 0)


def _leading_to(gateway: Gateway) -> dict[str, Any]:
    """The two settings that bring a client to the gateway, in a person's settings or in the machine's."""
    return {"forceLoginMethod": "gateway", "forceLoginGatewayUrl": gateway.url}


def _answered(ran: subprocess.CompletedProcess[str], word: str) -> None:
    assert ran.returncode == 0, f"exit {ran.returncode}: {ran.stdout[-300:]}{ran.stderr[-300:]}"
    assert f"Done-{word}" in ran.stdout, ran.stdout[-300:]


def text(run: Run) -> None:
    home, environment = run.with_key()
    word = run.word()
    _answered(home.printed(f"SAY [x] <{word}>", **environment), word)


def tool(run: Run) -> None:
    home, environment = run.with_key()
    word = run.word()
    _answered(home.printed(f"RUN [touch {word}] <{word}>", "--allowedTools", "Bash", **environment), word)
    assert (home.work / f"{word}_0").exists()


def two_tools(run: Run) -> None:
    home, environment = run.with_key()
    word = run.word()
    _answered(home.printed(f"TWICE [touch {word}] <{word}>", "--allowedTools", "Bash", **environment), word)
    assert (home.work / f"{word}_0").exists() and (home.work / f"{word}_1").exists()


def subagent(run: Run) -> None:
    home, environment = run.with_key()
    word = run.word()
    _answered(home.printed(f"AGENT [x] <{word}>", **environment), word)
    assert any(f"<sub{word}>" in str(body["messages"][:3]) for body in run.provider.requests)


def resumed(run: Run) -> None:
    home, environment = run.with_key()
    first, second = run.word(), run.word()
    _answered(home.printed(f"SAY [x] <{first}>", **environment), first)
    _answered(home.printed(f"SAY [x] <{second}>", "--continue", **environment), second)
    assert f"Done-{first}" in str(run.provider.requests[-1]["messages"])


def refused_key(run: Run) -> None:
    home, environment = run.with_key()
    began = time.monotonic()
    ran = home.printed("SAY [x] <no>", **{**environment, "ANTHROPIC_AUTH_TOKEN": "ccp_wrong"})
    assert ran.returncode == 1 and "this client key is not known here" in ran.stdout + ran.stderr
    assert time.monotonic() - began < 60, "it was repeated"


def sign_in(run: Run) -> None:
    """By the machine's policy file, as a company does it."""
    run.home = Home(run.program, machine=_leading_to(run.gateway))
    try:
        with Terminal(run.home) as terminal:
            _log_in(terminal, run.gateway)
            _said(run, terminal)
    except BaseException:
        run.home = None
        raise


def own_sign_in(run: Run) -> None:
    """By a person's own settings."""
    with Terminal(Home(run.program, **_leading_to(run.gateway))) as terminal:
        _log_in(terminal, run.gateway)
        _said(run, terminal)


def _log_in(terminal: Terminal, gateway: Gateway) -> None:
    terminal.settled()
    terminal.say("/login")
    terminal.sees(client.GATEWAY, 30)
    terminal.press("Enter")
    terminal.sees(f"{client.TRUST}|{client.CODE}")
    if re.search(client.TRUST, terminal.screen()):
        terminal.press("Up", "Enter")
    gateway.manage("approvesignin", terminal.sees(client.CODE)[1], "--user", PERSON)
    terminal.sees(f"{client.ACCOUNT}|{client.CONNECTED}")
    if re.search(client.ACCOUNT, terminal.screen()):
        terminal.press("Up", "Enter")
    terminal.sees(client.CONNECTED)
    terminal.press("Enter")


def certificate(run: Run) -> None:
    """TLS of a company's own authority and a path prefix; then the certificate is renewed."""
    front = Front()
    gateway = Gateway(run.provider.url, PUBLIC_URL=front.url, TRUSTED_PROXIES=HOST)
    home = Home(
        run.program,
        machine=_leading_to(gateway),
        variables={"NODE_EXTRA_CA_CERTS": str(front.authority)},
    )
    try:
        gateway.start()
        front.start(gateway.port)
        with Terminal(home) as terminal:
            _log_in(terminal, gateway)
            _said(run, terminal)
        word = run.word()
        _answered(home.printed(f"SAY [x] <{word}>"), word)
        front.stop()
        front.renew()
        front.start(gateway.port)
        assert home.printed("SAY [x] <renewed>").returncode == 1
        with Terminal(home) as terminal:
            terminal.sees(client.NEW_CERTIFICATE)
    finally:
        front.stop()
        gateway.stop()


def key_helper(run: Run) -> None:
    """A command that gives the key; the first one that it gives is refused."""
    home = Home(run.program)
    script = home.path / "helper"
    script.write_text(
        f'#!/bin/sh\nif [ -e "{home.path}/asked" ]; then echo {run.gateway.key}; '
        f'else touch "{home.path}/asked"; echo ccp_wrong; fi\n'
    )
    script.chmod(0o700)
    home.set(apiKeyHelper=str(script))
    word = run.word()
    _answered(home.printed(f"SAY [x] <{word}>", ANTHROPIC_BASE_URL=run.gateway.url), word)
    assert (home.path / "asked").exists()


def _said(run: Run, terminal: Terminal) -> None:
    """A prompt on the terminal is answered."""
    word = run.word()
    terminal.say(f"SAY [x] <{word}>")
    terminal.sees(f"Done-{word}", 90)


def policy(run: Run) -> None:
    home = run.signed_in
    mark = f"Mark {run.word()} é中"
    run.gateway.policy({"companyAnnouncements": [mark], "env": {_HINTS: "1"}})
    time.sleep(1.0)
    with Terminal(home) as terminal:
        assert terminal.settled(), "the hint headers were not asked about"
        terminal.sees(re.escape(mark), 20)
        _said(run, terminal)
    run.gateway.policy({"env": {_HINTS: "1"}})


def models(run: Run) -> None:
    """A name that the client does not know is a row of /model, and is asked for as it is."""
    row = {"model": "gpt-compat", "label": "Compat row", "behavesAs": "claude-opus-4-8"}
    run.gateway.policy({"modelPicker": {"options": [row], "replaceBuiltInOptions": True}})
    _picked(run, "Compat row")


def listed_models(run: Run) -> None:
    """A policy that lists the gateway's models: the name of a mapping is a row of /model."""
    run.gateway.mapping("gpt-compat")
    run.gateway.policy({}, "--list-models")
    _picked(run, "gpt-compat", r"up \(")


def _picked(run: Run, *shown: str) -> None:
    """The model answers, and /model shows its row; the policy ends with that."""
    time.sleep(1.0)
    try:
        with Terminal(run.signed_in, "--model", "gpt-compat") as terminal:
            terminal.settled()
            _said(run, terminal)
            terminal.say("/model")
            for sign in shown:
                terminal.sees(sign, 30, beside="--model gpt-compat")
    finally:
        run.gateway.policy({})


def status_line(run: Run) -> None:
    settings = json.loads("{" + setting(run.gateway.url) + "}")
    run.mode("default", **settings)
    try:
        with Terminal(run.signed_in) as terminal:
            terminal.settled()
            _said(run, terminal)
            _said(run, terminal)
            terminal.sees(r"claude-\S+ → up\b", 30)
    finally:
        run.mode("default")


def budget(run: Run) -> None:
    gateway = run.gateway
    gateway.manage("setspend", "--user", PERSON, "--percent", "76")
    try:
        with Terminal(run.signed_in) as terminal:
            terminal.settled()
            _said(run, terminal)
            assert int(terminal.sees(client.USED, 20)[1]) >= 75
            gateway.manage("setspend", "--user", PERSON, "--percent", "100")
            terminal.say("SAY [x] <over>")
            terminal.sees("budget at this gateway is used up", 60)
    finally:
        gateway.manage("setspend", "--user", PERSON, "--percent", "0")


def _auto(run: Run, *, prompt: str, sees: str) -> str:
    """A prompt in auto mode; the screen once `sees` stands on it. The client names nobody incompatible."""
    run.mode("auto")
    try:
        with Terminal(run.signed_in) as terminal:
            terminal.settled()
            terminal.say(prompt)
            terminal.sees(f"{sees}|{client.INCOMPATIBLE}", 120, beside=prompt)
            screen = terminal.screen()
            assert not re.search(client.INCOMPATIBLE, screen), screen[-600:]
            return screen
    finally:
        run.mode("default")


def _classified(run: Run) -> int:
    return sum(body["model"] == "judge" for body in run.provider.requests)


def auto_nothing(run: Run) -> None:
    """The client checks by itself, which this provider cannot answer; only the notice is looked for."""
    run.gateway.safeguards()
    word = run.word()
    _auto(
        run, prompt=f"RUN [touch made_$RANDOM] <{word}>", sees=f"Done-{word}|no usable answer|blocked|denied"
    )


def auto_rules(run: Run) -> None:
    run.gateway.safeguards(_ALLOWED)
    word = run.word()
    _auto(run, prompt=f"RUN [touch {word}] <{word}>", sees=f"Done-{word}")
    assert (run.signed_in.work / f"{word}_0").exists()


def auto_allowed(run: Run) -> None:
    run.gateway.safeguards(classifier=True)
    run.provider.verdict = "allow"
    before, word = _classified(run), run.word()
    _auto(run, prompt=f"RUN [touch {word}_$RANDOM] <{word}>", sees=f"Done-{word}")
    assert _classified(run) == before + 1
    assert list(run.signed_in.work.glob(f"{word}_*"))


def auto_flagged(run: Run) -> None:
    run.gateway.safeguards(classifier=True)
    run.provider.verdict = "block"
    word = run.word()
    try:
        _auto(run, prompt=f"RUN [touch {word}_$RANDOM] <{word}>", sees=f"Done-{word}")
    finally:
        run.provider.verdict = "allow"
    assert not list(run.signed_in.work.glob(f"{word}_*"))
    assert "compat says no" in str(run.provider.requests)


def auto_hangs(run: Run) -> None:
    """The gateway gives up after 20 seconds, and the client checks by itself."""
    run.gateway.safeguards(classifier=True)
    run.provider.thinks = 25.0
    word = run.word()
    try:
        prompt = f"RUN [touch {word}_$RANDOM] <{word}>"
        _auto(run, prompt=prompt, sees=f"Done-{word}|no usable answer|blocked|denied")
    finally:
        run.provider.thinks = 0.0


def auto_dies(run: Run) -> None:
    """The judge's connection breaks: the client checks by itself; nothing was allowed."""
    _auto_without_verdict(run, "dies")


def auto_babbles(run: Run) -> None:
    """The judge allows actions that nobody asked about: the client checks by itself; nothing was allowed."""
    _auto_without_verdict(run, "babbles")


def _auto_without_verdict(run: Run, judge: Literal["dies", "babbles"]) -> None:
    run.gateway.safeguards(classifier=True)
    run.provider.judge = judge
    before, word = _classified(run), run.word()
    try:
        prompt = f"RUN [touch {word}_$RANDOM] <{word}>"
        _auto(run, prompt=prompt, sees=f"Done-{word}|no usable answer|blocked|denied")
    finally:
        run.provider.judge = "answers"
    assert _classified(run) > before
    assert not list(run.signed_in.work.glob(f"{word}_*"))


def auto_three(run: Run) -> None:
    """After three blocked actions in a row the person is asked."""
    run.gateway.safeguards({"decision": "deny", "tool": "Bash", "explanation": "compat says no"})
    word = run.word()
    _auto(run, prompt=f"AGAIN [touch {word}_$RANDOM] <{word}>", sees=r"3 consecutive actions were blocked")


def auto_subagent(run: Run) -> None:
    run.gateway.safeguards(classifier=True)
    word = run.word()
    _auto(run, prompt=f"AGENT [x] <{word}>", sees=f"Done-{word}")


def three_models(run: Run) -> None:
    """One prompt: the conversation, a subagent's part of it, and what the client asks beside it."""
    run.gateway.routes(
        ({"class": ["subagent"]}, "for-subagents"), ({"class": ["auxiliary"]}, "for-background")
    )
    run.mode("default")
    before, word = len(run.provider.requests), run.word()
    try:
        with Terminal(run.signed_in) as terminal:
            terminal.settled()
            prompt = f"AGENT [x] <{word}>"
            terminal.say(prompt)
            terminal.sees(f"Done-{word}", 90, beside=prompt)
            terminal.settled()
    finally:
        run.gateway.routes()
    by_model: dict[str, list[str]] = {}
    for body in run.provider.requests[before:]:
        by_model.setdefault(body["model"], []).append(json.dumps(body["messages"]))
    assert set(by_model) == {"up", "for-subagents", "for-background"}, sorted(by_model)
    assert any(f"<sub{word}>" in text for text in by_model["for-subagents"])
    assert all("tools" in body for body in run.provider.requests[before:] if body["model"] == "up")
    assert any(f"AGENT [x] <{word}>" in text for text in by_model["up"])


def long_context(run: Run) -> None:
    """A rule for long contexts takes the prompt that reaches its threshold, and not the one before."""
    # no mapping has this name among its public ones, which would come before a pattern
    model = ("--model", "claude-compat")
    home, environment = run.with_key()
    word = run.word()
    # a rule that no request meets, so that they are counted
    run.gateway.routes(({"input_tokens": {"from": 100_000_000}}, "for-long-contexts"))
    try:
        _answered(home.printed(f"SAY [x] <{word}>", *model, **environment), word)
        threshold = run.gateway.last_size() + 3_000
        run.gateway.routes(({"input_tokens": {"from": threshold}}, "for-long-contexts"))
        asked = []
        for filler in ("", "some words of a long text. " * 1_500):
            word = run.word()
            _answered(home.printed(f"{filler}SAY [x] <{word}>", *model, **environment), word)
            said = [body for body in run.provider.requests if f"<{word}>" in str(body["messages"])]
            asked.append({body["model"] for body in said if body.get("tools")})
    finally:
        run.gateway.routes()
    assert asked == [{"up"}, {"for-long-contexts"}], asked


def left(run: Run) -> None:
    try:
        with Terminal(run.signed_in) as terminal:
            terminal.settled()
            _said(run, terminal)
            run.gateway.manage("disableuser", PERSON)
            terminal.say("SAY [x] <gone>")
            terminal.sees(client.SIGN_IN_AGAIN, 60)
        assert run.signed_in.printed("SAY [x] <gone>").returncode == 1
    finally:
        run.gateway.manage("enableuser", PERSON)


def sign_out(run: Run) -> None:
    # nothing that a new sign-in would have to approve
    run.gateway.policy({})
    time.sleep(1.0)
    sign_in(run)
    with Terminal(run.signed_in) as terminal:
        terminal.settled()
        terminal.say("/logout")
        terminal.sees(client.SIGNED_OUT, 30)


_GATEWAY: Final = (2, 1, 195)
# 2.1.197 reads the two settings in the machine's policy file alone, asks the command once, and has its own
# rows in /model
_AFTER_197: Final = (2, 1, 198)
_USAGE: Final = (2, 1, 225)
_SAFEGUARDS: Final = (2, 1, 278)
SCENARIOS: Final = (
    Scenario("a text", text),
    Scenario("a tool", tool),
    Scenario("two tools at once", two_tools),
    Scenario("a subagent", subagent),
    Scenario("a conversation continued", resumed),
    Scenario("a refused key, told once", refused_key),
    Scenario("a command that gives the key", key_helper, _AFTER_197),
    Scenario("sign-in", sign_in, _GATEWAY),
    Scenario("sign-in by a person's own settings", own_sign_in, _AFTER_197),
    Scenario("TLS, a path prefix, a renewed certificate", certificate, _GATEWAY),
    Scenario("a policy", policy, _GATEWAY),
    Scenario("models of a policy", models, _AFTER_197),
    Scenario("models that the gateway lists", listed_models, _AFTER_197),
    Scenario("the status line", status_line, _GATEWAY),
    Scenario("a budget's notice and end", budget, _USAGE),
    Scenario("three models in one run, by class", three_models, _GATEWAY),
    Scenario("a long context at its threshold", long_context),
    Scenario("auto mode, nothing set up", auto_nothing, _SAFEGUARDS),
    Scenario("auto mode, rules", auto_rules, _SAFEGUARDS),
    Scenario("auto mode, a model allows", auto_allowed, _SAFEGUARDS),
    Scenario("auto mode, a model blocks", auto_flagged, _SAFEGUARDS),
    Scenario("auto mode, a model hangs", auto_hangs, _SAFEGUARDS),
    Scenario("auto mode, a model dies", auto_dies, _SAFEGUARDS),
    Scenario("auto mode, a model babbles", auto_babbles, _SAFEGUARDS),
    Scenario("auto mode, three blocked in a row", auto_three, _SAFEGUARDS),
    Scenario("auto mode, a subagent", auto_subagent, _SAFEGUARDS),
    Scenario("somebody leaves", left, _GATEWAY),
    Scenario("sign-out", sign_out, _GATEWAY),
)


def tried(run: Run, scenario: Scenario, version: str) -> dict[str, Any]:
    """The result of one scenario: passed, failed, or older than it."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    if numbers < scenario.since:
        return {"result": "older"}
    try:
        scenario.run(run)
    except (AssertionError, subprocess.TimeoutExpired) as problem:
        return {"result": "failed", "why": str(problem)[:500]}
    return {"result": "passed"}
