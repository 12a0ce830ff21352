# SPDX-License-Identifier: GPL-3.0-or-later
"""A trainer that learns nothing but speaks the job folder's contract; settings say how it behaves."""

import os
import sys
import time

from ..jobs.folder import JobFolder


def main() -> int:
    folder = JobFolder(sys.argv[1])
    settings = folder.read_job()["settings"]
    behaviour = settings.get("behaviour", "work")
    if behaviour == "crash":
        raise RuntimeError("out of luck")
    time.sleep(settings.get("start_seconds", 0.0))
    folder.beat()
    folder.append_event("started", pid=os.getpid(), workers=1, mode="search", python_path=os.environ["PYTHONPATH"])
    if behaviour == "error":
        folder.append_event("error", message="The reference has no frames.")
        folder.rest()
        return 1
    step, paused, reason = 0, False, "time"
    while step < settings.get("steps", 10):
        folder.beat()
        for request in folder.take_requests():
            if request["kind"] in ("pause", "resume"):
                paused = request["kind"] == "pause"
                folder.append_event("paused" if paused else "resumed")
            if request["kind"] == "stop":
                step, reason = 10**9, "stopped"
        if not paused:
            step += 1
            folder.append_event("progress", fraction=0.1 * step, seconds=step, seconds_left=9.0, message="Trying.")
        time.sleep(0.05)
    folder.append_event("take", file="0000_search.npz", landed=False, score=0.9)
    folder.append_event("take", file="0001_search.npz", landed=True, score=0.5)
    folder.append_event("take", file="0002_search.npz", landed=False, score=0.7)
    folder.append_event("finished", reason=reason, best_take="0001_search.npz", seconds=1.0, control_steps=123)
    folder.rest()
    return 0


if __name__ == "__main__":
    sys.exit(main())
