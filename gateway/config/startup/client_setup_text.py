"""What to type to start Claude Code with this gateway; the same lines on every page and command."""

from __future__ import annotations

import shlex

from gateway.conf import GatewayConf

_EVERYWHERE = frozenset({"0.0.0.0", "::", "[::]", ""})  # noqa: S104 - compared, not bound


def local_url(conf: GatewayConf) -> str:
    """The gateway's own address as seen from this machine."""
    host = "127.0.0.1" if conf.host in _EVERYWHERE else conf.host
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"http://{host}:{conf.port}"


def base_url(conf: GatewayConf, seen: str = "") -> str:
    """The address given to clients: PUBLIC_URL, else `seen` (where a page was requested), else the
    gateway's own.
    """
    return conf.public_url or seen.rstrip("/") or local_url(conf)


def claude_code_lines(base_url: str, token: str) -> list[str]:
    """The three lines for a shell."""
    return [
        f"export ANTHROPIC_BASE_URL={shlex.quote(base_url)}",
        f"export ANTHROPIC_AUTH_TOKEN={shlex.quote(token)}",
        "claude",
    ]
