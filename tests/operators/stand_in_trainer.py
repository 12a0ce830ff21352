# SPDX-License-Identifier: GPL-3.0-or-later
"""A trainer that makes its takes by hand: no physics, but the job folder's whole contract."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from backflip_addon.core import body as bodies
from backflip_addon.core.body import Body
from backflip_addon.core.motion import load_motion, save_take
from backflip_addon.jobs.folder import JobFolder
from backflip_addon.jobs.messages import (
    Finished,
    Paused,
    Progress,
    Resumed,
    ShotRequest,
    StageSaved,
    Started,
    TakeRecorded,
)
from tests.scene import takes


def _shoot(folder: JobFolder, shot: ShotRequest, body: Body) -> None:
    """Record a take that says what was asked for."""
    name = f"{100 + shot.seed:04d}_shot.npz"
    save_take(folder.takes / name, takes.take(body, name=shot.name))
    folder.append_event(TakeRecorded(file=name, name=shot.name, seed=shot.seed, request=shot.request))


def main() -> int:
    folder = JobFolder(sys.argv[1])
    job = folder.read_job()
    body = bodies.from_json(job.body)
    load_motion(folder.reference_file)
    folder.beat()
    folder.append_event(Started(workers=1, mode=job.settings["mode"]))
    for number, landed, score in ((0, False, 0.4), (1, True, 0.9), (2, False, 0.6)):
        name = f"{number:04d}_search.npz"
        save_take(folder.takes / name, takes.take(body, name=f"Take {number}", measures={"landed": landed}))
        folder.append_event(TakeRecorded(file=name, landed=landed, success=landed, score=score, source="search"))
    end = time.monotonic() + 60.0 * job.settings["minutes"]
    reason, paused = "time", False
    while time.monotonic() < end:
        folder.beat()
        for request in folder.pending_requests():
            folder.finish_request(request)
            if request.kind == "stop":
                reason, end = "stopped", 0.0
            elif request.kind in ("pause", "resume"):
                paused = request.kind == "pause"
                folder.append_event(Paused() if paused else Resumed())
            elif request.kind == "checkpoint":
                folder.append_event(StageSaved(file="0000.pt"))
            elif request.kind == "shoot":
                _shoot(folder, ShotRequest.of(request, friction=0.9), body)
        folder.append_event(Progress(phase="search", fraction=0.5, seconds=1.0, seconds_left=1.0, message="Trying."))
        time.sleep(0.05)
    folder.append_event(Finished(reason=reason, best_take="0001_search.npz", seconds=1.0, control_steps=5))
    folder.rest()
    return 0


if __name__ == "__main__":
    sys.exit(main())
