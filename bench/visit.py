"""One visit: one target does one workload; what it cost and how the answers came."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from typing import Any

from bench.load import Job
from bench.measure import cpu_seconds, reference_ms, rss_mb, settled_cpu
from bench.targets.base import KEY, ROOT, Target
from bench.workloads import Workload

Visit = dict[str, Any]


def visit(target: Target, workload: Workload) -> Visit:
    """Do the workload. Always present: wrong, problems, speeds; the rest depends on the kind."""
    speeds = [reference_ms()]
    result = _DOING[workload.kind](target, workload)
    return {"wrong": 0, "problems": [], **result, "speeds": [*speeds, reference_ms()]}


def warm_up(target: Target) -> None:
    """Enough requests for imports, caches and compilers that work on demand."""
    for size, count in (("small", 300), ("large", 40)):
        for stream in (False, True):
            workload = Workload("warm-up", "", size=size, stream=stream, count=count)  # type: ignore[arg-type]
            _run("bench.load", asdict(_job(target, workload)))


def _load(target: Target, workload: Workload) -> Visit:
    job = _job(target, workload)
    before = settled_cpu(target.pid, limit=2.0)
    result = _run("bench.load", asdict(job))
    spent = settled_cpu(target.pid) - before
    return {**result, "cpu_ms": spent / job.count * 1000, "rps": job.count / result["seconds"]}


def _slow(target: Target, workload: Workload) -> Visit:
    """Like `load`, in a fresh process, with the memory that the open streams take.

    A process that has served many streams before has that memory already.
    """
    target.stop()
    target.start()
    _load(target, Workload("", "", stream=True, count=200))
    before = rss_mb(target.pid)
    during: list[float] = []
    # all are open and the first have not ended
    timer = threading.Timer(workload.settle + 2.0, lambda: during.append(rss_mb(target.pid)))
    timer.start()
    try:
        result = _load(target, workload)
    finally:
        timer.cancel()
    per_stream = (during[0] - before) * 1000 / workload.concurrency if during else None
    return {**result, "rss_before_mb": before, "kb_per_stream": per_stream}


def _block(target: Target, workload: Workload) -> Visit:
    job = _job(target, Workload("", "", workload.model, size=workload.size, concurrency=1, count=1))
    pings = {"job": asdict(job), "requests": workload.count, "ping_path": target.ready_path}
    return _run("bench.pinger", pings)


def _start(target: Target, _: Workload) -> Visit:
    target.stop()
    time.sleep(0.2)
    target.start()
    return {"start_s": target.start_seconds, "rss_mb": rss_mb(target.pid), "cpu_s": cpu_seconds(target.pid)}


def _memory(target: Target, workload: Workload) -> Visit:
    """In a fresh process: before the first request and after all of them."""
    target.stop()
    target.start()
    idle = rss_mb(target.pid)
    result = _load(target, workload)
    return {**result, "rss_idle_mb": idle, "rss_mb": rss_mb(target.pid), "requests": result["job"]["count"]}


def _job(target: Target, workload: Workload) -> Job:
    asked = target.asked_model(workload.model)
    return Job(
        port=target.port,
        model=workload.model,
        size=workload.size,
        stream=workload.stream,
        form=target.form,
        path=target.path,
        key=KEY,
        upstream_model=asked if asked != workload.model else "",
        concurrency=workload.concurrency,
        count=workload.count_for(target.share),
        ramp=workload.ramp,
        settle=workload.settle,
    )


def _run(module: str, values: dict[str, Any]) -> dict[str, Any]:
    """Run one of our programs in a process of its own, JSON in, JSON out."""
    done = subprocess.run(
        [sys.executable, "-m", module], input=json.dumps(values), cwd=ROOT,
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{module} failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


_DOING = {"load": _load, "slow": _slow, "block": _block, "start": _start, "memory": _memory}
