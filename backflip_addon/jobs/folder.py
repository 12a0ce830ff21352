# SPDX-License-Identifier: GPL-3.0-or-later
"""The job folder: the one place where Blender and the trainer meet. Standard library alone.

job.json        what to learn (messages.Job), and the version of the folder
reference.npz   the clip to imitate (core.motion)
events.jsonl    one JSON object a line (messages.Event), appended by the trainer
trainer.json    the running trainer (messages.TrainerRecord); its heartbeat is the file's mtime
trainer.lock    empty; held by the trainer for its whole life, and by whoever starts one
requests/       one JSON file a request (messages.Request) to the trainer; it stays until it has been obeyed
stages/ takes/  what was learned and performed
bin/            takes that the user deleted; take_notes.json: what the user says of takes (jobs.take_notes)

Files are written whole to a temporary name and renamed; readers tolerate a half-written last line. The folder
may come from a stranger: only regular files in the folder itself are opened, and what we did not write is not
deleted. The folder as a whole may be reached by a link, which the user chose.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import socket
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..core.files import TEMPORARY, RefusedFile, is_own_folder, open_regular, too_deep
from .json_files import MOST_SHORT_BYTES, JobError, parse_object, read_json, write_json
from .lock import FileLock, is_held
from .messages import Event, Job, Request, RequestKind, TrainerRecord, event_from_json, event_to_json
from .os_processes import command_line, process_alive
from .requests import REFUSED, Requests, put_aside

JOB_VERSION = 1
HEARTBEAT_SECONDS = 2.0
SILENT_SECONDS = 30.0  # a trainer that has not beaten for so long is taken for dead, unless it holds the lock
HOLD_SECONDS = 5.0  # a trainer waits so long for the lock, which its starter still has
LONGEST_NAME = 100  # of a take or stage
LONGEST_INSIDE = 64  # letters of the path of a request that is being written, the longest that is in every job
LEFT_SECONDS = 60.0  # a temporary file that Blender may have been writing is left for so long
_WINDOWS = os.name == "nt"

# What is being written has these names and an ending of its own; what a killed process left of it is removed.
_OUR_FILES = (
    r"(job\.json|trainer\.json|take_notes\.json|reference\.npz|[a-z0-9_]{1,60}\.(npz|pt)|[0-9]{20}-[0-9a-f]{8}\.json)"
)
_LEFT = re.compile(_OUR_FILES + r"(\.[0-9]+|\.[0-9a-f]{12})?" + re.escape(TEMPORARY), re.ASCII)


def by_number(name: str) -> tuple[int, str]:
    """Sorts files that begin with a number and an underscore, 9999_ before 10000_: numbers are padded with zeros."""
    return name.find("_"), name


class JobFolder:
    """Paths and messages of one job."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._requests = Requests(self.path / "requests")
        self._lock = FileLock(self.path / "trainer.lock")
        self._identity: tuple[int, int] | None = None  # of the folder when it was first read

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

    @property
    def bin(self) -> Path:
        return self.path / "bin"

    def create(self, job: Job) -> None:
        """Make the folder and write job.json. Raises JobError when the disk refuses, or Windows so long a path."""
        if lacking := too_deep(self.path, LONGEST_INSIDE):
            raise JobError(lacking)
        with self._written():
            self.path.mkdir(parents=True, exist_ok=True)
            self.make_rooms()
            write_json(self.job_file, {"version": JOB_VERSION, **job.to_json()})

    def read_job(self) -> Job:
        """job.json. Raises JobError with one sentence when it is missing, damaged or foreign."""
        data = read_json(self.job_file)
        if data.get("version") != JOB_VERSION:
            raise JobError(f"{self.job_file} was written by another version of Backflip.")
        try:
            job = Job.from_json(data)
        except ValueError as error:
            raise JobError(f"{self.job_file} is damaged: {error}.") from error
        self._identity = self._identity or _identity(self.path)
        return job

    # The trainer's own

    def hold(self, seconds: float = HOLD_SECONDS) -> bool:
        """Take the trainer's lock, for as long as this process lives; False when another has it. Raises JobError."""
        with self._written():
            taken = self._lock.acquire(seconds)
            self._identity = _identity(self.path)
        return taken

    def prepare(self) -> None:
        """Make the rooms, and remove what killed trainers left half written. Raises JobError, also on links."""
        with self._written():
            self.make_rooms()
            for room in (self.path, self.requests, self.stages, self.takes):
                _sweep(room, LEFT_SECONDS if room in (self.path, self.requests) else 0.0)

    def let_go(self) -> None:
        """Give the lock back."""
        with contextlib.suppress(OSError):
            self._lock.release()

    def is_gone(self) -> bool:
        """Whether the job was moved or deleted, or another now has its place: then nobody watches its trainer.

        For a trainer, to be asked every few seconds, best twice before it believes it. Only what is known for sure
        counts: a share that does not answer is not gone.
        """
        try:
            now = _identity(self.path)
            os.lstat(self.job_file)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except (OSError, ValueError):
            return False
        return self._identity is not None and now != self._identity

    # Trainer -> Blender

    def append_event(self, event: Event) -> None:
        """Append one event, of now; a full line in one write, so that readers never see two mixed.

        Raises OSError, also where another job has the folder's place, and JobError where events.jsonl is no
        ordinary file.
        """
        self._raise_if_gone()
        line = json.dumps({"time": time.time(), **event_to_json(event)}) + "\n"
        try:
            with self._open_events() as file:
                if file.tell() and not _ends_with_newline(self.events_file):
                    line = "\n" + line  # a killed trainer left half a line behind
                file.write(line.encode())
        except RefusedFile as error:
            raise JobError(f"{self.events_file} cannot be written: {error}.") from error

    def _open_events(self) -> BinaryIO:
        """The events, to append to. A file that isn't there is made only where this still is the job's folder: another
        may have taken its place a moment ago."""
        flags = os.O_WRONLY | os.O_APPEND
        try:
            return open_regular(self.events_file, flags)
        except FileNotFoundError:
            self._raise_if_gone()
            return open_regular(self.events_file, flags | os.O_CREAT)

    def _raise_if_gone(self) -> None:
        """Raises FileNotFoundError where the job has gone from its folder, or another now has its place."""
        if self._identity and self.is_gone():
            raise FileNotFoundError(errno.ENOENT, "The training's folder was moved or deleted", str(self.path))

    def read_events(self, offset: int = 0) -> tuple[list[Event], int]:
        """Events from byte offset on, and the offset to go on from. Damaged lines are skipped. Raises JobError."""
        try:
            with open_regular(self.events_file) as file:
                file.seek(offset)
                data = file.read()
        except FileNotFoundError:
            return [], 0
        except (OSError, ValueError) as error:
            raise JobError(f"{self.events_file} cannot be read: {_reason(error)}.") from error
        whole = data[: data.rfind(b"\n") + 1]
        return list(_parse_lines(whole)), offset + len(whole)

    def beat(self) -> None:
        """The trainer's heartbeat; call it every HEARTBEAT_SECONDS. Leaves nothing in another job's folder."""
        if self._identity and self.is_gone():
            return
        if self.trainer().pid == os.getpid():
            _touch(self.trainer_file)
        else:  # missing, what a killed trainer left behind, or a link
            self.name_trainer(os.getpid())
            if self._identity and self.is_gone():
                self.rest()  # another job took the place after it was asked: its trainer is another one
                return
        self._lock.touch()

    def name_trainer(self, pid: int) -> None:
        """Write who the trainer is. Raises OSError."""
        if self.trainer_file.is_dir():
            put_aside(self.trainer_file, REFUSED)
        write_json(self.trainer_file, TrainerRecord(pid, time.time(), socket.gethostname()).to_json())

    def rest(self) -> None:
        """The trainer says goodbye; what another trainer has written stays."""
        trainer = self.trainer()
        if trainer.pid == os.getpid() and trainer.host == socket.gethostname():
            self.trainer_file.unlink(missing_ok=True)

    # Who is at work

    def running(self) -> bool:
        """Whether a trainer is at work on this job, on this machine or another. Raises nothing."""
        return is_held(self._lock.path) is True or self.named_trainer_lives()

    def named_trainer_lives(self) -> bool:
        """Whether the trainer that trainer.json names is alive, by its process or, of another machine, its heartbeat.

        For one that has not taken the lock yet, and where the file system knows no locks.
        """
        try:
            facts = os.lstat(self.trainer_file)
            data = read_json(self.trainer_file, MOST_SHORT_BYTES)
        except (JobError, OSError, ValueError):
            return False
        if not isinstance(data.get("host"), str):
            return False  # no trainer wrote that
        trainer = TrainerRecord.from_json(data)
        beats = _beats_lately(os.path.abspath(self.trainer_file), facts.st_mtime_ns)
        if trainer.host != socket.gethostname():
            return beats
        if not trainer.pid or not process_alive(trainer.pid):
            return False
        # A silent process is a trainer at a long step, or a stranger with a dead trainer's number: who holds no
        # lock though there are locks is a stranger
        return beats or (is_held(self._lock.path) is None and "backflip" in command_line(trainer.pid))

    def is_trainer(self, pid: int) -> bool:
        """Whether a live process of this machine is this very job's trainer, by its command line."""
        line = command_line(pid)
        if "backflip" in line and line.endswith(f" {self.path.resolve()}"):
            return True
        known = "python" in Path(line).name.lower() if _WINDOWS else "backflip" in line
        return known and is_held(self._lock.path) is True

    def starting(self) -> FileLock:
        """The lock that whoever starts a trainer holds until it is named in trainer.json."""
        return FileLock(self._lock.path)

    def trainer(self) -> TrainerRecord:
        """Who trainer.json says the trainer is; nobody where it says nothing."""
        with contextlib.suppress(JobError):
            return TrainerRecord.from_json(read_json(self.trainer_file, MOST_SHORT_BYTES))
        return TrainerRecord()

    # Blender -> trainer

    def request(self, kind: RequestKind, **fields: Any) -> str:
        """Ask the trainer for something; returns the request's id. Raises OSError and JobError."""
        return self._requests.make(kind, fields)

    def pending_requests(self) -> list[Request]:
        """All requests in the order they were made; nothing is removed but what is no request.

        A stop beats everything: look for one anywhere in the list before obeying the first. Raises JobError.
        """
        try:
            return self._requests.pending()
        except OSError as error:
            raise JobError(f"{self.requests} cannot be read: {error.strerror or error}.") from error

    def shots_asked_for(self) -> list[Request]:
        """The shots that wait to be taken, in order; the first of them may be under way. Raises JobError."""
        return [request for request in self.pending_requests() if request.kind == "shoot"]

    def withdraw_shots(self, which: Collection[str] | None = None) -> int:
        """Ask no longer for the shots with these ids, or for any; one that is under way is still taken. Returns how
        many were withdrawn. Raises JobError."""
        shots = [one for one in self.shots_asked_for() if which is None or one.id in which]
        try:
            for request in shots:
                self._requests.finish(request)
        except OSError as error:
            raise JobError(f"{self.requests} cannot be written: {error.strerror or error}.") from error
        return len(shots)

    def finish_request(self, request: Request) -> None:
        """Remove a request of pending_requests() that has been obeyed; one that is gone already is fine."""
        self._requests.finish(request)

    # What was learned and performed

    def list_takes(self) -> list[Path]:
        """Recorded takes, oldest first: regular files alone. Raises JobError."""
        return self._files(self.takes, ".npz")

    def take_names(self) -> set[str]:
        """The names of their files. Raises JobError."""
        return set(self._names(self.takes, ".npz"))

    def list_stages(self) -> list[Path]:
        """Saved stages, oldest first: regular files alone. Raises JobError."""
        return self._files(self.stages, ".pt")

    def _files(self, room: Path, ending: str) -> list[Path]:
        return [room / name for name in sorted(self._names(room, ending), key=by_number)]

    def _names(self, room: Path, ending: str) -> list[str]:
        if not is_own_folder(room):
            return []
        try:
            with os.scandir(room) as entries:
                return [e.name for e in entries if _is_good_name(e.name, ending) and e.is_file(follow_symlinks=False)]
        except OSError as error:
            raise JobError(f"{room} cannot be read: {_reason(error)}.") from error

    def make_rooms(self) -> None:
        """The folders for requests, stages and takes. Raises OSError, and JobError where one is a link."""
        for room in (self.requests, self.stages, self.takes):
            with contextlib.suppress(FileExistsError):
                room.mkdir()
            if not is_own_folder(room):
                raise JobError(
                    f"{room} is not this training's own folder; Backflip follows no links in a training's folder."
                )

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        """Whatever the disk says to writing into the folder is a JobError with one sentence."""
        try:
            yield
        except (OSError, ValueError) as error:
            raise JobError(f"The training's folder {self.path} cannot be written: {_reason(error)}.") from error


# When each heartbeat was last seen to have moved: the clocks of two machines need not agree, nor one with itself.
_heard: dict[str, tuple[int, float]] = {}


def _beats_lately(file: str, changed: int) -> bool:
    """Whether a heartbeat, last changed at so many nanoseconds since 1970, has moved in the last SILENT_SECONDS."""
    now = time.monotonic()
    before = _heard.get(file)
    if before is None or before[0] != changed:
        # A first look has nothing but the clock to go by; a time in the future is a clock that was wrong.
        age = 0.0 if before and changed > before[0] else max(time.time() - changed / 1e9, 0.0)
        _heard[file] = (changed, now - age)
    return now - _heard[file][1] < SILENT_SECONDS


def _sweep(room: Path, older: float) -> None:
    """Remove what killed processes left half written; it may be what fills the disk."""
    with os.scandir(room) as entries:
        left = [e for e in entries if _LEFT.fullmatch(e.name) and e.is_file(follow_symlinks=False)]
    for entry in left:
        with contextlib.suppress(OSError):
            if time.time() - entry.stat(follow_symlinks=False).st_mtime >= older:
                os.unlink(entry.path)


def _is_good_name(name: str, ending: str) -> bool:
    """Whether a file's name can be one of ours: short, printable (so no stray bytes or line breaks), not hidden."""
    return name.endswith(ending) and len(name) <= LONGEST_NAME and name.isprintable() and not name.startswith(".")


def _identity(folder: Path) -> tuple[int, int]:
    facts = os.stat(folder)
    return facts.st_dev, facts.st_ino


def _touch(file: Path) -> None:
    if os.utime in os.supports_follow_symlinks:
        os.utime(file, follow_symlinks=False)
    else:
        os.utime(file)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _ends_with_newline(path: Path) -> bool:
    with open_regular(path) as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _parse_lines(data: bytes) -> Iterator[Event]:
    for line in data.splitlines():
        with contextlib.suppress(ValueError):
            yield event_from_json(parse_object(line))
