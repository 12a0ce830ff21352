# SPDX-License-Identifier: GPL-3.0-or-later
"""The job folder: the one place where Blender and the trainer meet. Standard library alone.

job.json        what to learn: {"version", "name", "body", "settings", "binding", "avatar"}
reference.npz   the clip to imitate (core.motion)
events.jsonl    one JSON object a line, appended by the trainer
trainer.json    the running trainer: {"pid", "started", "host"}; its heartbeat is the file's mtime
requests/       one JSON file a request to the trainer; it stays until it has been obeyed
stages/ takes/  what was learned and performed

Files are written whole to a temporary name and renamed; readers tolerate a half-written last line.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .records import JobError, read_json, write_json
from .requests import KINDS as REQUESTS
from .requests import Requests

__all__ = ["REQUESTS", "JobError", "JobFolder", "process_alive", "read_json", "write_json"]

JOB_VERSION = 1
HEARTBEAT_SECONDS = 2.0
SILENT_SECONDS = 30.0  # a trainer that has not beaten for so long is taken for dead


class JobFolder:
    """Paths and messages of one job."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._requests = Requests(self.path / "requests")

    @property
    def job_file(self) -> Path:
        return self.path / "job.json"

    @property
    def reference_file(self) -> Path:
        return self.path / "reference.npz"

    @property
    def events_file(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def trainer_file(self) -> Path:
        return self.path / "trainer.json"

    @property
    def log_file(self) -> Path:
        return self.path / "trainer.log"

    @property
    def requests(self) -> Path:
        return self.path / "requests"

    @property
    def stages(self) -> Path:
        return self.path / "stages"

    @property
    def takes(self) -> Path:
        return self.path / "takes"

    def create(self, job: dict[str, Any]) -> None:
        """Make the folder and write job.json. Raises JobError when the disk refuses."""
        try:
            for folder in (self.path, self.requests, self.stages, self.takes):
                folder.mkdir(parents=True, exist_ok=True)
            write_json(self.job_file, {"version": JOB_VERSION, **job})
        except OSError as error:
            raise JobError(f"The job folder {self.path} cannot be written: {error.strerror}.") from error

    def read_job(self) -> dict[str, Any]:
        """job.json. Raises JobError with one sentence when it is missing, damaged or foreign."""
        job = read_json(self.job_file)
        if job.get("version") != JOB_VERSION:
            raise JobError(f"{self.job_file} was written by another version of Backflip.")
        if not isinstance(job.get("body"), dict) or not isinstance(job.get("settings"), dict):
            raise JobError(f"{self.job_file} is damaged: body or settings are missing.")
        return job

    # Trainer -> Blender

    def append_event(self, kind: str, **fields: Any) -> None:
        """Append one event; a full line in one write, so that readers never see two mixed."""
        line = json.dumps({"time": time.time(), "kind": kind, **fields}) + "\n"
        with open(self.events_file, "ab") as file:
            if file.tell() and not _ends_with_newline(self.events_file):
                line = "\n" + line  # a killed trainer left half a line behind
            file.write(line.encode())

    def read_events(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Events from byte offset on, and the offset to go on from. Damaged lines are skipped."""
        try:
            with open(self.events_file, "rb") as file:
                file.seek(offset)
                data = file.read()
        except FileNotFoundError:
            return [], 0
        whole = data[: data.rfind(b"\n") + 1]
        return list(_parse_lines(whole)), offset + len(whole)

    def beat(self) -> None:
        """The trainer's heartbeat; call it every HEARTBEAT_SECONDS."""
        try:
            ours = read_json(self.trainer_file).get("pid") == os.getpid()
        except JobError:
            ours = False  # missing, or what a killed trainer left behind
        if not ours:
            write_json(self.trainer_file, {"pid": os.getpid(), "started": time.time(), "host": socket.gethostname()})
        else:
            os.utime(self.trainer_file)

    def rest(self) -> None:
        """The trainer says goodbye."""
        self.trainer_file.unlink(missing_ok=True)

    def running(self) -> bool:
        """Whether a trainer is at work on this job, on this machine or (by heartbeat) another."""
        try:
            age = time.time() - self.trainer_file.stat().st_mtime
            trainer = read_json(self.trainer_file)
        except (JobError, FileNotFoundError):
            return False
        if trainer.get("host") != socket.gethostname():
            return age < SILENT_SECONDS
        pid = trainer.get("pid")
        # A silent process may be a trainer at a long step, or a stranger with a dead trainer's number.
        return isinstance(pid, int) and process_alive(pid) and (age < SILENT_SECONDS or _may_be_trainer(pid, age))

    # Blender -> trainer

    def request(self, kind: str, **fields: Any) -> str:
        """Ask the trainer for something of REQUESTS; returns the request's id. Raises OSError and JobError."""
        return self._requests.make(kind, fields)

    def pending_requests(self) -> list[dict[str, Any]]:
        """All requests in the order they were made, each with its "id"; nothing is removed but what is no request.

        A stop beats everything: look for one anywhere in the list before obeying the first. Raises JobError.
        """
        try:
            return self._requests.pending()
        except OSError as error:
            raise JobError(f"{self.requests} cannot be read: {error.strerror or error}.") from error

    def finish_request(self, request: dict[str, Any]) -> None:
        """Remove a request of pending_requests() that has been obeyed; one that is gone already is fine."""
        self._requests.finish(request)

    def take_requests(self) -> list[dict[str, Any]]:
        """Requests in the order they were made; each is handed out once."""
        pending = self.pending_requests()
        for request in pending:
            self.finish_request(request)
        return pending

    def take_files(self) -> list[Path]:
        """Recorded takes, oldest first."""
        return sorted(self.takes.glob("*.npz"))

    def stage_files(self) -> list[Path]:
        """Saved stages, oldest first."""
        return sorted(self.stages.glob("*.pt"))


def process_alive(pid: int) -> bool:
    """Whether a process of that id runs on this machine (a zombie does not count)."""
    if pid <= 0:
        return False
    if os.name == "nt":
        return _windows_process_alive(pid)
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _windows_process_alive(pid: int) -> bool:
    import ctypes

    query_limited, still_active = 0x1000, 259
    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined]
    handle = kernel.OpenProcess(query_limited, False, pid)
    if not handle:
        return False
    code = ctypes.c_ulong()
    kernel.GetExitCodeProcess(handle, ctypes.byref(code))
    kernel.CloseHandle(handle)
    return code.value == still_active


def _may_be_trainer(pid: int, age: float) -> bool:
    """Whether a live process that has not beaten for age seconds can be a trainer."""
    try:
        return b"backflip_addon" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return age < 20 * SILENT_SECONDS  # no /proc on this system


def _ends_with_newline(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _parse_lines(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.splitlines():
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict):
            yield event
