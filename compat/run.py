"""Run every scenario with each version of the client, and write down what happened.

    python -m compat.run                    npm's newest
    python -m compat.run 2.1.197 2.1.332    these versions

Needs npm, tmux, nginx, and mount namespaces (Linux). The results of other versions are kept. Exit code 1 when
something failed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from compat.client import installed
from compat.gateway import Gateway
from compat.provider import Provider
from compat.scenarios import SCENARIOS, Run, tried

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs/compatibility.md"
# the console reads it
RESULTS: Final = ROOT / "gateway/client_protocol/tried_versions.json"
_MARKS: Final = {"passed": "passes", "failed": "**fails**", "older": "–"}
_HEAD: Final = """\
# Versions of Claude Code

`make compat` drives the real client, version by version, through these scenarios, against a gateway of its
own on SQLite and a scripted provider, and writes this page. `make compat COMPAT="2.1.197 2.1.332"` names
versions; without a list it is npm's newest. "–": the version is older than what the scenario needs. *What a
person gets*, in the console, says who runs a version that failed or was never tried.

"""


def page(results: Mapping[str, Any]) -> str:
    """The page, from results by version."""
    versions = sorted(results, key=lambda one: [int(part) for part in one.split(".")])
    lines = ["| Scenario | " + " | ".join(versions) + " |", "|---|" + "---|" * len(versions)]
    for scenario in SCENARIOS:
        cells = [
            _MARKS.get(results[version]["scenarios"].get(scenario.title, {}).get("result", ""), "not tried")
            for version in versions
        ]
        lines.append(f"| {scenario.title} | " + " | ".join(cells) + " |")
    lines.append("| *tried on* | " + " | ".join(results[version]["on"] for version in versions) + " |")
    failures = [
        f"* {version}, {scenario.title}: {why}"
        for version in versions
        for scenario in SCENARIOS
        if (why := results[version]["scenarios"].get(scenario.title, {}).get("why"))
    ]
    notes = ["", "What was missing:", "", *failures] if failures else []
    return _HEAD + "\n".join([*lines, *notes]) + "\n"


def _told(outcome: Mapping[str, str]) -> dict[str, str]:
    """A result with the first line of why it failed."""
    why = outcome.get("why", "").partition("\n")[0][:120]
    return {"result": outcome["result"], **({"why": why} if why else {})}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("versions", nargs="*", default=["latest"])
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/ccproxy-compat")
    parser.add_argument("--only", default="", help="a pattern of titles; the others keep their results")
    given = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    failed = False
    for asked in given.versions or ["latest"]:
        version, program = installed(asked, given.cache)
        provider = Provider()
        gateway = Gateway(provider.url)
        try:
            gateway.start()
            run = Run(program, gateway, provider)
            found = {}
            for scenario in SCENARIOS:
                if not re.search(given.only, scenario.title) and scenario.title != "sign-in":
                    continue
                outcome = found[scenario.title] = tried(run, scenario, version)
                failed |= outcome["result"] == "failed"
                print(
                    f"{version}  {outcome['result']:7}  {scenario.title}  {outcome.get('why', '')}",
                    flush=True,
                )
        finally:
            gateway.stop()
            provider.stop()
        # nothing of an earlier run that no scenario stands for any more
        before = results.get(version, {}).get("scenarios", {}) if given.only else {}
        titles = {scenario.title for scenario in SCENARIOS}
        kept = {title: outcome for title, outcome in before.items() if title in titles}
        new = {title: _told(outcome) for title, outcome in found.items()}
        results[version] = {"on": f"{datetime.now(UTC):%Y-%m-%d}", "scenarios": {**kept, **new}}
        RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
        PAGE.write_text(page(results))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
