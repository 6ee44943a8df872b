"""The status line of the client: the command that a developer sets, and the line that it gets.

The client runs the command after each turn with a JSON object about the session as its input. Only the id of
the session leaves the machine. The bearer is that of the environment, else that of the sign-in.
"""

from __future__ import annotations

import json
from typing import Final

from gateway.values import frozen

PATH: Final = "/api/status-line"
_CREDENTIALS: Final = "~/.claude/.credentials.json"


@frozen
class SessionStanding:
    """`asked`, `routed`: the model of the last turn, as asked for and as it went to the provider. `cost` of
    the session in dollars; `left` of the fullest budget of `limit` dollars, or `tokens`, in a `period`."""

    asked: str = ""
    routed: str = ""
    cost: float | None = None
    left: float | None = None
    limit: float | None = None
    period: str = ""
    tokens: bool = False


def line(standing: SessionStanding) -> str:
    """One line of plain text."""
    parts: list[str] = []
    if standing.routed:
        same = standing.asked == standing.routed
        parts.append(standing.routed if same else f"{standing.asked} → {standing.routed}")
    if standing.cost is not None:
        parts.append(f"${standing.cost:.2f} this session")
    if standing.left is not None and standing.limit is not None:
        left, limit = max(0.0, standing.left), standing.limit
        told = f"{left:,.0f} of {limit:,.0f} tokens" if standing.tokens else f"${left:.2f} of ${limit:.2f}"
        parts.append(f"{told} left this {standing.period}")
    text = " · ".join(parts) or "no request of this session yet"
    return "".join(one if one.isprintable() else "?" for one in text)


def setting(base_url: str) -> str:
    """The line for the developer's settings file, as JSON without its braces."""
    bearer = (
        '${ANTHROPIC_AUTH_TOKEN:-$(sed -n \'s/.*"jwt" *: *"\\([^"]*\\)".*/\\1/p\' '
        + _CREDENTIALS
        + " 2>/dev/null)}"
    )
    session = 's=$(sed -n \'s/.*"session_id" *: *"\\([^"]*\\)".*/\\1/p\')'
    # printf belongs to the shell: the list of processes, which everybody on the machine can read, lacks it
    header = f'printf \'header = "Authorization: Bearer %s"\' "{bearer}"'
    command = f'{session}; {header} | curl -sfm2 -K - "{base_url}{PATH}?session=$s"'
    return f'"statusLine": {json.dumps({"type": "command", "command": command})}'
