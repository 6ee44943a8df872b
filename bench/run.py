"""Starts the targets, visits them in turn, and prints what it cost them.

    python -m bench.run                    ours against nginx, 5 repetitions
    python -m bench.run --peers            all targets
    python -m bench.run --quick            about two minutes, coarse
    python -m bench.run --only paced,slow --targets ours,nginx --repetitions 3
    python -m bench.run --show             the tables of the last run again, as Markdown

All load stays on the loopback interface and is bounded. Results are also
written as JSON (bench/.results/latest.json).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.collected import Collected
from bench.table import tables
from bench.targets.all import TARGETS, WITHOUT_PEERS
from bench.targets.base import ROOT, CannotRun, Setting, Target
from bench.visit import visit, warm_up
from bench.workloads import ONCE, WORKLOADS, Workload


def main() -> int:
    """The exit status is 1 when a target of ours gave a wrong answer."""
    options = _options()
    if options.show:
        kept = json.loads(options.json.read_text())
        print(tables(Collected(kept["visits"]), kept["targets"]))
        return 0
    workloads = _chosen(options.only, options.quick)
    repetitions = options.repetitions or (1 if options.quick else 5)
    _raise_file_limit()
    run = Collected()
    with tempfile.TemporaryDirectory(prefix="ccproxy-bench-") as folder:
        upstream = subprocess.Popen(
            [sys.executable, "-m", "bench.upstream"], cwd=ROOT, stdout=subprocess.PIPE
        )
        started: list[Target] = []
        try:
            assert upstream.stdout is not None
            port = int(upstream.stdout.readline())
            models = tuple(dict.fromkeys(workload.model for workload in workloads))
            started = _started(_names(options), Setting(port, models, Path(folder)))
            _repeat(run, started, workloads, repetitions, options.restarts)
        except KeyboardInterrupt:
            _say("stopped; what is there:")
        finally:
            for target in started:
                target.stop()
            upstream.terminate()
            upstream.wait()
    names = [target.name for target in started]
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"targets": names, "visits": run.visits}, indent=1))
    if options.quick:
        print("Quick: fewer requests; 200 slow streams instead of 1,000, memory after 2,000 requests.\n")
    print(tables(run, names))
    ours = [name for name in names if name.startswith("ours")]
    return int(any(run.wrong(workload, name) for workload in run.visits for name in ours))


def _repeat(
    run: Collected, targets: Sequence[Target], workloads: Sequence[Workload], repetitions: int, restarts: int
) -> None:
    often = [workload for workload in workloads if workload.name not in ONCE]
    last = [workload for workload in workloads if workload.name in ONCE]
    for target in targets if often else ():
        warm_up(target)
    for repetition in range(repetitions):
        for workload in often:
            if workload.kind == "slow" and repetition >= restarts:
                continue
            _visit_all(run, targets, workload, repetition)
    # these end the processes that were warmed up
    for workload in last:
        for repetition in range(min(repetitions, restarts) if workload.kind == "start" else 1):
            _visit_all(run, targets, workload, repetition)


def _visit_all(run: Collected, targets: Sequence[Target], workload: Workload, repetition: int) -> None:
    for target in targets:
        if workload.visits(target.name):
            _say(f"{repetition + 1}: {workload.name}, {target.name}")
            found = visit(target, workload)
            run.add(workload.name, target.name, repetition, found)
            if found["wrong"]:
                _say(f"   {found['wrong']} wrong answers: {found['problems'][:1]}")


def _started(names: Sequence[str], setting: Setting) -> list[Target]:
    """The targets that run; one that cannot is named with the reason, and left out."""
    started = []
    for name in names:
        own = Setting(setting.upstream_port, setting.models, setting.folder / name)
        target = TARGETS[name](own)
        try:
            target.install()
            target.prepare()
            target.start()
        except CannotRun as reason:
            _say(f"{name} is left out: {reason}")
            continue
        _say(f"{name} answers after {target.start_seconds:.2f} s")
        started.append(target)
    return started


def _chosen(only: str, quick: bool) -> list[Workload]:
    names = [name.strip() for name in only.split(",") if name.strip()]
    known = {workload.name for workload in WORKLOADS}
    if not set(names) <= known:
        raise SystemExit(f"workloads are: {', '.join(sorted(known))}")
    chosen = [workload for workload in WORKLOADS if not names or workload.name in names]
    return [workload.quick() for workload in chosen] if quick else chosen


def _names(options: argparse.Namespace) -> list[str]:
    chosen = [name.strip() for name in options.targets.split(",") if name.strip()]
    if not set(chosen) <= set(TARGETS):
        raise SystemExit(f"targets are: {', '.join(TARGETS)}")
    return chosen or list(TARGETS if options.peers else WITHOUT_PEERS)


def _raise_file_limit() -> None:
    """1,000 streams are 2,000 sockets in a target, which inherits this limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="workloads, comma-separated")
    parser.add_argument("--targets", default="", help="targets, comma-separated")
    parser.add_argument("--peers", action="store_true", help="all targets")
    parser.add_argument("--quick", action="store_true", help="fewer requests, 1 repetition")
    parser.add_argument("--repetitions", type=int, default=0)
    parser.add_argument(
        "--restarts", type=int, default=3, help="most repetitions of what starts every target anew"
    )
    parser.add_argument("--show", action="store_true", help="print the tables of the last run; runs nothing")
    parser.add_argument("--json", type=Path, default=ROOT / "bench" / ".results" / "latest.json")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
