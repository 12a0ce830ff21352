# SPDX-License-Identifier: GPL-3.0-or-later
"""A video on its way to a reference: a Blender that writes its frames, then the trainer's Python that looks at them.

Nothing blocks: begin(), then poll() from a timer. Both are children of this process and end with a cancel; what the
networks have seen by then is not kept, what they have seen of the whole is.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from ..core import background
from ..core.files import open_regular
from ..core.isolation import Interpreter, clean_environment, python_command, safe_folder
from .json_files import JobError
from .video_folder import VideoFolder, VideoProgress

START_SCRIPT = Path(__file__).resolve().parent / "alias" / "backflip_video.py"
FRAMES_SHARE = 0.15
KILL_SECONDS = 5.0
_LOG_LETTERS = 300


class VideoReconstruction:
    """The work on one video's folder.

    state: "running", "done", "failed" or "cancelled". progress: how far, in words, and why it failed.
    """

    def __init__(self, folder: VideoFolder, blender: list[str], python: Interpreter) -> None:
        self.folder = folder
        self.state = "running"
        self.progress = VideoProgress(0.0, "Reading the frames")
        self._python = python
        self._frames = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._count = folder.read_job().count
        self._writes_frames = not folder.landmarks_file.exists()
        self._start([*blender, "--", str(folder.path)] if self._writes_frames else self._trainer())

    @classmethod
    def begin(cls, folder: VideoFolder, blender: list[str], python: Interpreter) -> VideoReconstruction:
        """Start on a folder with a video.json. blender: the command that runs write_frames.py. Raises JobError."""
        for file in (folder.result_file, folder.progress_file):
            with contextlib.suppress(FileNotFoundError):
                file.unlink()
        return cls(folder, blender, python)

    def poll(self) -> str:
        """Go on as far as possible without waiting; returns the state."""
        if self.state != "running" or self._process is None:
            return self.state
        code = self._process.poll()
        if self._writes_frames:
            self._poll_frames(code)
        elif code is None:
            told = self.folder.read_progress()
            share = FRAMES_SHARE + (1 - FRAMES_SHARE) * told.fraction
            self.progress = VideoProgress(share, told.words or "Starting the trainer's Python")
        else:
            told = self.folder.read_progress()
            self._end("done" if code == 0 and self.folder.result_file.exists() else "failed", told)
        return self.state

    def cancel(self) -> None:
        """End the work."""
        if self.state == "running":
            self._kill()
            self._end("cancelled", VideoProgress(problem="The video was cancelled."))

    def wait(self) -> str:
        """Wait for the end; returns the state."""
        while self.poll() == "running":
            time.sleep(0.05)
        return self.state

    def _poll_frames(self, code: int | None) -> None:
        while self._frames < self._count and self.folder.frame_file(self._frames).exists():
            self._frames += 1
        share = self._frames / self._count
        self.progress = VideoProgress(FRAMES_SHARE * share, f"Reading the frames: {self._frames} of {self._count}")
        if code is None:
            return
        try:
            record = self.folder.read_frames()
        except JobError:
            self._end("failed", VideoProgress())
            return
        if record.problem:
            self._end("failed", VideoProgress(problem=record.problem))
            return
        self._writes_frames = False
        self._start(self._trainer())

    def _trainer(self) -> list[str]:
        return python_command(self._python, str(START_SCRIPT), str(self.folder.path))

    def _start(self, command: list[str]) -> None:
        options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
        options |= {"cwd": safe_folder(command[0]), "env": clean_environment()}
        try:
            with open_regular(self.folder.log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT) as log:
                self._process = background.start(command, stdout=log, **options)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise JobError(f"{command[0]} could not be started: {reason}.") from error

    def _end(self, state: str, told: VideoProgress) -> None:
        """The end; the frames are not needed any more where what they show is known."""
        self.state = state
        problem = told.problem
        if state == "failed" and not problem:
            problem = f"The video could not be looked at: {self._last_words()}"
        self.progress = VideoProgress(1.0, told.words, problem, told.speed)
        if self.folder.landmarks_file.exists() or state == "cancelled":
            threading.Thread(target=shutil.rmtree, args=(self.folder.frames, True), daemon=True).start()

    def _last_words(self) -> str:
        """What the log ends with."""
        try:
            lines = self.folder.log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return f"{(lines or ['nothing was said'])[-1][:_LOG_LETTERS].rstrip('.')}."

    def _kill(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(KILL_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
