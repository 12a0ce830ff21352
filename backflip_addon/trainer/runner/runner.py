# SPDX-License-Identifier: GPL-3.0-or-later
"""One training run of a job: search for a landed take, then a policy; told in the job's events.

Everything that a later run needs is saved as it comes, so that a trainer killed at any moment goes
on from its last stage.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import logging
import os
import shutil
import sys
import threading
from collections.abc import Iterator

from ...core.files import is_link, open_regular, write_whole
from ...jobs.folder import HEARTBEAT_SECONDS, JobFolder
from ...jobs.json_files import JobError
from ...jobs.messages import Failed, Finished, Started
from ..cluster.ray_machines import ClusterError
from ..workers import WorkerError
from . import machine, plan_files
from .compilation import compile_first
from .inbox import JobGone, Stopped
from .policy_phase import learn
from .run_context import RunContext, TimeIsUp
from .search_phase import find_landing_plan
from .shooting import shoot_all
from .steady_phase import land_steadily

logger = logging.getLogger(__name__)

GONE = "The training's folder was moved or deleted, so the trainer ends."
NOTHING_SHOT = "None of the shots that were asked for could be taken."


def run_job(path: str | os.PathLike[str], cluster: str = "") -> int:
    """Run a job to its end, on a cluster where one is named; returns the exit status."""
    folder, run = JobFolder(path), None
    try:
        job = folder.read_job()
        _make_room_for_events(folder)
        run = Run(folder, job, cluster)
        with _heartbeat(folder):
            run.go()
        return 0
    except (Exception, KeyboardInterrupt) as error:
        gone = isinstance(error, JobGone) or (run is not None and folder.is_gone())
        if not gone and not isinstance(error, (JobError, WorkerError, OSError, ValueError)):
            logger.exception("The run failed")
        sentence = GONE if gone else _sentence(error)
        print(sentence, file=sys.stderr)
        if not gone:
            with contextlib.suppress(OSError, JobError):
                folder.append_event(Failed(message=sentence))
        return 1
    finally:
        with contextlib.suppress(OSError):
            folder.rest()


def _sentence(error: BaseException) -> str:
    """What went wrong, for the user."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "The disk is full; make room and resume the training. What was saved before is kept."
    if isinstance(error, PermissionError):
        return f"The training's folder cannot be written: {error.filename or error}."
    if isinstance(error, MemoryError):
        return "The computer ran out of memory; close other programs and resume the training."
    if isinstance(error, ClusterError):
        return str(error)
    if isinstance(error, WorkerError):
        words = str(error).strip().splitlines()[-1].rstrip(".")
        if "MemoryError" in words:
            return "The physics ran out of memory; close other programs and resume the training."
        return f"The physics failed: {words}."
    if isinstance(error, (JobError, ValueError)):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"The training's folder cannot be read or written: {error.filename or ''}: {error.strerror}."
    return f"The trainer failed: {type(error).__name__}: {error}. The log in the training's folder has the details."


@contextlib.contextmanager
def _heartbeat(folder: JobFolder) -> Iterator[None]:
    """Beat in the background, whatever the run is busy with."""
    end = threading.Event()

    def beat() -> None:
        while not end.wait(HEARTBEAT_SECONDS):
            with contextlib.suppress(OSError, JobError):
                folder.beat()

    folder.beat()
    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def _make_room_for_events(folder: JobFolder) -> None:
    """What stands in the place of events.jsonl and is not a regular file goes under another name.

    Of a file with a second name (a backup by hard links, or a stranger's trick) a copy takes the place.
    """
    file = folder.events_file
    if os.path.lexists(file) and (is_link(file) or not file.is_file()):
        plan_files.set_aside(file)
    elif file.is_file() and file.stat().st_nlink > 1:
        with open_regular(file) as events:
            write_whole(file, lambda copy: shutil.copyfileobj(events, copy))


class Run(RunContext):
    """One run of one job. Raises JobError or ValueError when the job is damaged."""

    def go(self) -> None:
        """Take the shots that are asked for, or go through the phases that the mode asks for; tell how it ended."""
        self.remember()
        settings = self.settings
        mode, seed = settings.mode, settings.seed
        where, what = machine.name(), machine.versions()
        began = Started(pid=os.getpid(), workers=self.workers, mode=mode, seed=seed, engine=self.engine)
        self.tell(dataclasses.replace(began, machine=where, versions=what))
        reason = "time"
        try:
            self.check()
            compile_first(self)
            reason = self._shots_first() or self._phases()
        except Stopped:
            reason = "stopped"
        except TimeIsUp:
            pass
        best = self.takes.best
        self.tell(
            Finished(
                reason=reason,
                best_take=best.file if best else "",
                landed=bool(best and best.landed),
                seconds=round(self.seconds, 2),
                control_steps=self.control_steps,
            )
        )
        self.inbox.close()

    def take_shots(self) -> None:
        shoot_all(self)

    def _shots_first(self) -> str:
        """A run that finds shots asked for at its start takes them and ends; why, or "" where there are none."""
        before = self.inbox.shots()
        self.inbox.forget_recorded(self.takes.shots)
        recorded, refused = shoot_all(self)
        if refused and not recorded and len(before) == refused:
            raise JobError(NOTHING_SHOT)
        return "shot" if before else ""

    def _phases(self) -> str:
        if self.settings.mode == "scratch":
            return learn(self, None)
        if self.steadies:
            land_steadily(self)
            return "landed"
        plan = find_landing_plan(self)
        return learn(self, plan) if self.learns else "landed"
