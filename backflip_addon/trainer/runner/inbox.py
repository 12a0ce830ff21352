# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a run while it works: by files in the job's requests/, and by signals.

A request is removed when it has been obeyed, so that a trainer that is killed leaves the rest to the next one.
Pause and resume are obeyed in the order in which they were asked for, and so are shots; a stop comes before
everything. All of it is looked for between steps and while workers are waited for.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable

from ...core.clock import awake_seconds
from ...jobs.folder import JobFolder
from ...jobs.json_files import JobError
from ...jobs.messages import Event, Paused, Request, RequestKind, Resumed, Warned
from . import signals

LOOK_SECONDS = 0.1  # between looks into the folder
PAUSE_SECONDS = 0.1  # between looks while paused
KEPT = "The training is paused; the takes that were asked for are shot when it resumes."


class Stopped(Exception):
    """The user asked to stop."""


class JobGone(Exception):
    """The job's folder was moved or deleted: there is nobody left to work for."""


class Inbox:
    """The requests to one run. tell: appends an event."""

    def __init__(self, folder: JobFolder, tell: Callable[[Event], None]) -> None:
        self.folder = folder
        self.paused_seconds = 0.0
        self._tell = tell
        self._looked = float("-inf")
        self._pending: list[Request] = []
        self._obeyed: set[str] = set()  # what could not be removed is not obeyed twice

    def check(self) -> None:
        """Raises Stopped or JobGone when the run is to end. Cheap: may be called at any step."""
        if signals.stop_requested():
            raise Stopped
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._look()

    def obey(self) -> None:
        """Pause and resume as asked for. Returns when the run is to go on; raises Stopped or JobGone."""
        self.check()
        while controls := self._of("pause", "resume"):
            for request in controls:
                if request.kind == "pause":
                    self._pause(request)
                    break  # what was asked after it has been looked at anew
                self.finish(request)

    def checkpoints(self) -> list[Request]:
        """Requests for a stage; to be finished when it is saved."""
        return self._of("checkpoint")

    def shots(self) -> list[Request]:
        """Requests for takes, in order; each to be finished when its take is recorded."""
        return self._of("shoot")

    def finish(self, request: Request) -> None:
        """A request has been obeyed."""
        self._pending = [other for other in self._pending if other is not request]
        with contextlib.suppress(OSError):
            self.folder.finish_request(request)
        if os.path.lexists(self.folder.requests / f"{request.id}.json"):
            self._obeyed.add(request.id)

    def forget_recorded(self, recorded: dict[str, float]) -> None:
        """Finish the shots whose takes are recorded already: a trainer was killed before it could do so.

        recorded: when each request's take was told of, s since 1970; a file of the same name written later is new.
        """
        self._read()
        for request in self.shots():
            told = recorded.get(request.id)
            with contextlib.suppress(OSError):
                file = self.folder.requests / f"{request.id}.json"
                if told is not None and file.stat().st_mtime <= told:
                    self.finish(request)

    def close(self) -> None:
        """The run has ended, and what steers one with it; shots are left to the next run."""
        self._read()
        for request in self._of("stop", "pause", "resume", "checkpoint"):
            self.finish(request)

    def _of(self, *kinds: RequestKind) -> list[Request]:
        return [request for request in self._pending if request.kind in kinds]

    def _look(self) -> None:
        if signals.stop_requested():
            raise Stopped
        if self.folder.is_gone():
            time.sleep(LOOK_SECONDS)  # a folder that is being replaced is there again
            if self.folder.is_gone():
                raise JobGone
        self._read()
        if self._of("stop"):
            raise Stopped

    def _read(self) -> None:
        self._looked = time.monotonic()
        # A share may be away for a while; that the folder is gone for good is told elsewhere
        with contextlib.suppress(OSError, JobError):
            pending = self.folder.pending_requests()
            self._pending = [request for request in pending if request.id not in self._obeyed]

    def _pause(self, pause: Request) -> None:
        """Pause until the first resume that was asked for afterwards."""
        began, told = awake_seconds(), False
        self._tell(Paused())
        self.finish(pause)
        try:
            while True:
                self._look()
                for request in self._of("pause", "resume"):
                    self.finish(request)
                    if request.kind == "resume":
                        self._tell(Resumed())
                        return
                if self.shots() and not told:
                    self._tell(Warned(message=KEPT))
                    told = True
                time.sleep(PAUSE_SECONDS)
        finally:
            self.paused_seconds += awake_seconds() - began
