"""The captured requests of Claude Code, as the gateway sees them."""

import json
from pathlib import Path

ROOT = Path(__file__).parents[1] / "captures"


def protocol(name):
    """(headers with lower-case names, body) of a request of a signed-in client 2.1.332."""
    [path] = (ROOT / "gateway-protocol").glob(f"{name}*.json")
    record = json.loads(path.read_text())
    return {key.lower(): value for key, value in record["headers"]}, record["body"]


def plain(name):
    """The same for the captures of clients that know nothing of a gateway."""
    [headers] = ROOT.glob(f"{name}*.headers.json")
    [body] = ROOT.glob(f"{name}*.request.json")
    pairs = json.loads(headers.read_text())["headers"]
    return {key.lower(): value for key, value in pairs}, json.loads(body.read_text())


def without_hints(headers):
    """Headers of a client whose hint headers are off."""
    kept = {"x-claude-code-session-id", "x-claude-code-agent-id", "x-claude-code-parent-agent-id"}
    return {
        name: value
        for name, value in headers.items()
        if name in kept or not name.startswith(("x-claude-code-", "x-claude-1p-"))
    }


def classifier(stage="19"):
    """The client's own safety check at its real size: the capture says how long the vendor's prompt was."""
    headers, body = protocol(stage)
    system = [dict(block) for block in body["system"]]
    system[1]["text"] = "x" * 141_229
    return headers, {**body, "system": system}
