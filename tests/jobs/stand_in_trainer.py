# SPDX-License-Identifier: GPL-3.0-or-later
"""A trainer's run that learns nothing but speaks the job folder's contract; settings say how it behaves.

It stands in for trainer/runner/runner.py: the entry, with its lock, is the real one.
"""

import json
import multiprocessing
import os
import sys
import time
from typing import Any

from ...jobs.folder import JobFolder
from ...jobs.messages import Failed, Finished, Paused, Progress, Resumed, TakeRecorded


def facts() -> dict[str, Any]:
    """How this process was started."""
    return {"path": sys.path, "cwd": os.getcwd(), "isolated": sys.flags.isolated, "variables": sorted(os.environ)}


def run_job(path: str, _cluster: str = "") -> int:
    folder = JobFolder(path)
    settings = folder.read_job().settings
    behaviour = settings.get("behaviour", "work")
    if behaviour == "crash":
        raise RuntimeError("out of luck")
    time.sleep(settings.get("start_seconds", 0.0))
    folder.beat()
    worker = {}
    if behaviour == "workers":
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            worker = pool.apply(facts)
    if behaviour == "lingering worker":
        child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
        child.start()
        worker = {"pid": child.pid}
    started = {"time": time.time(), "kind": "started", "pid": os.getpid(), "facts": facts(), "worker": worker}
    with open(folder.events_file, "a", encoding="utf-8") as events:
        events.write(json.dumps(started) + "\n")
    if behaviour == "error":
        folder.append_event(Failed(message="The reference has no frames."))
        folder.rest()
        return 1
    step, paused, reason = 0, False, "time"
    while step < settings.get("steps", 10) and not folder.is_gone():
        folder.beat()
        pending = folder.pending_requests()
        for request in [r for r in pending if r.kind == "stop"] or pending:
            if request.kind in ("pause", "resume"):
                paused = request.kind == "pause"
                folder.append_event(Paused() if paused else Resumed())
            if request.kind == "stop":
                step, reason = 10**9, "stopped"
            folder.finish_request(request)
        if not paused:
            step += 1
            folder.append_event(Progress(fraction=0.1 * step, seconds=step, seconds_left=9.0, message="Trying."))
        time.sleep(0.05)
    if folder.is_gone():
        return 1
    for number, landed, score in ((0, False, 0.9), (1, True, 0.5), (2, False, 0.7)):
        name = f"{number:04d}_search.npz"
        (folder.takes / name).touch()
        folder.append_event(TakeRecorded(file=name, landed=landed, score=score))
    folder.append_event(Finished(reason=reason, best_take="0001_search.npz", seconds=1.0, control_steps=123))
    folder.rest()
    return 0
