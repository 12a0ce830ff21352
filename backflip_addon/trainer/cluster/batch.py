# SPDX-License-Identifier: GPL-3.0-or-later
"""Many jobs on one cluster: `python -m backflip_addon.trainer.cluster.batch FOLDER ... --cluster ADDRESS`.

Every job is a task with as many cores as it asks for. Its folder travels there as bytes and is trained by a trainer of
that machine's own; what came of it travels back every few minutes and is written whole. So a machine that is lost costs
the minutes since; a batch that is begun again goes on with what has not finished.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from ...core.files import open_regular, write_whole
from ...core.isolation import clean_environment, safe_folder
from ...jobs import trainer_process
from ...jobs.folder import JobFolder
from ...jobs.json_files import JobError
from ...jobs.messages import Failed, Finished, JobSettings, Started, TakeRecorded
from ..workers import WorkerError, core_count
from . import ray_machines
from .rounds import Lost

SLICE_SECONDS = 300.0  # after which a job comes back, to be gone on with
START_SECONDS = 300.0  # a trainer gets so long to begin
STOP_SECONDS = 90.0  # and to save what it has
LOOK_SECONDS = 0.5
MOST_LOST = 5  # times that a job may lose its machine
MOST_BYTES = 4_000_000_000  # of a job that is sent
ROOMS = ("stages", "takes")
BACK = ("events.jsonl", "trainer.log")  # what comes back beside the rooms
SENT = ("job.json", "reference.npz", *BACK[:1])

Files = dict[str, bytes]


class Tasks(Protocol):
    """Where jobs are trained."""

    def submit(self, files: Files, seconds: float, cores: int) -> Any:
        """Train a job for so many seconds at most; returns a ticket."""

    def wait(self, tickets: Sequence[Any], seconds: float) -> list[Any]:
        """The tickets whose jobs have come back, after so many seconds at most."""

    def answer(self, ticket: Any) -> Files:
        """The job as it has come back. Raises Lost, and WorkerError."""


class Threads:
    """Tasks of this computer, as many at a time as its cores carry."""

    def __init__(self, cores: int) -> None:
        self._pool = ThreadPoolExecutor(max(cores, 1))

    def submit(self, files: Files, seconds: float, cores: int) -> Any:
        return self._pool.submit(train_packed, files, seconds)

    def wait(self, tickets: Sequence[Any], seconds: float) -> list[Any]:
        done, _ = wait(tickets, timeout=seconds, return_when=FIRST_COMPLETED)
        return list(done)

    def answer(self, ticket: Future[Files]) -> Files:
        return ticket.result()


# A job as bytes


def pack(folder: Path, names: Sequence[str]) -> Files:
    """The files of a job by their names in it: those named, and those of its rooms. Raises OSError and JobError."""
    files, job = {}, JobFolder(folder)
    found = [folder / name for name in names if (folder / name).is_file()]
    found += [file for room in ROOMS if (folder / room).is_dir() for file in sorted((folder / room).iterdir())]
    for file in found:
        if file.is_symlink() or not file.is_file() or file.name.startswith("."):
            continue
        with open_regular(file) as opened:
            files[file.relative_to(folder).as_posix()] = opened.read()
    if sum(map(len, files.values())) > MOST_BYTES:
        raise JobError(f"{job.path} is too large to be sent.")
    return files


def unpack(files: Files, folder: Path, back: bool) -> None:
    """Write files whole. back: that have come back, of which a job's own and no other names are taken."""
    for name, data in files.items():
        room, _, rest = name.rpartition("/")
        good = (room in ROOMS and rest.isprintable() and rest[:1] not in ("", ".")) or (not room and name in BACK)
        if not good and (back or name not in SENT):
            raise WorkerError(f"a machine sent back what is no file of a training: {name[:80]!r}")
        (folder / room).mkdir(parents=True, exist_ok=True)

        def write(out: BinaryIO, data: bytes = data) -> None:
            out.write(data)

        write_whole(folder / name, write)


def train_packed(files: Files, seconds: float) -> Files:
    """Train a job that came as bytes, in a folder of this computer's own; returns it as it is after so many seconds."""
    with tempfile.TemporaryDirectory(prefix="backflip-job-", ignore_cleanup_errors=True) as place:
        folder = JobFolder(Path(place) / "job")
        folder.path.mkdir()
        unpack(files, folder.path, back=False)
        folder.make_rooms()
        command = trainer_process.command(folder, sys.executable)
        with (
            open(folder.log_file, "ab") as log,
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=clean_environment(),
                cwd=safe_folder(sys.executable),
            ) as trainer,
        ):
            _watch(trainer, folder, seconds)
        return pack(folder.path, BACK)


def _watch(trainer: subprocess.Popen[bytes], folder: JobFolder, seconds: float) -> None:
    """Wait for a trainer; ask it to stop when it has been at work for its time here, and end it when it does not."""
    try:
        _wait_for_beginning(trainer, folder)
        trainer.wait(seconds)
    except subprocess.TimeoutExpired:
        folder.request("stop")
        try:
            trainer.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            trainer.kill()
    finally:
        if trainer.poll() is None:
            trainer.kill()


def _wait_for_beginning(trainer: subprocess.Popen[bytes], folder: JobFolder) -> None:
    """Until a trainer tells that it has begun: on a busy machine its start may take longer than its time here."""
    known, end = _size(folder), time.monotonic() + START_SECONDS
    while _size(folder) == known and trainer.poll() is None and time.monotonic() < end:
        time.sleep(LOOK_SECONDS)


def _size(folder: JobFolder) -> int:
    try:
        return folder.events_file.stat().st_size
    except FileNotFoundError:
        return 0


# The batch


@dataclasses.dataclass
class Member:
    """A job of a batch. state: "waiting", "training", "finished", "failed", "taken" (by another trainer)."""

    folder: JobFolder
    minutes: float = 0.0
    cores: int = 1
    state: str = "waiting"
    message: str = ""
    slices: int = 0
    lost: int = 0

    @property
    def left(self) -> float:
        """Seconds that it may still train, of all its runs."""
        events = self.folder.read_events()[0]
        return self.minutes * 60.0 - sum(event.seconds or 0.0 for event in events if isinstance(event, Finished))

    @property
    def landed(self) -> bool:
        return any(event.success for event in self.folder.read_events()[0] if isinstance(event, TakeRecorded))


def members(folders: Sequence[Path], cores: int) -> list[Member]:
    """The jobs, each once. cores: for one that asks for all. A folder that is no job has failed, with a sentence."""
    found: list[Member] = []
    for path in dict.fromkeys(folder.resolve() for folder in folders):
        member = Member(JobFolder(path))
        found.append(member)
        try:
            settings = JobSettings.from_json(member.folder.read_job().settings)
            member.minutes, member.cores = settings.minutes, int(settings.workers) or cores
            if _ended(member) or member.left <= 0:
                member.state, member.message = "finished", "It had finished before."
            elif not member.folder.hold(0.5):
                member.state, member.message = "taken", "Another trainer is at work on it."
        except JobError as error:
            member.state, member.message = "failed", str(error)
    return found


def _ended(member: Member) -> bool:
    """Whether its last run came to an end of its own."""
    told = [e for e in member.folder.read_events()[0] if isinstance(e, Started | Finished | Failed)]
    return bool(told) and isinstance(told[-1], Finished) and told[-1].reason != "stopped"


def run(batch: Sequence[Member], tasks: Tasks, slice_seconds: float = SLICE_SECONDS) -> None:
    """Train all that wait. Raises nothing of a single job: that is its state, with a sentence."""
    out: dict[Any, Member] = {}
    for member in batch:
        if member.state == "waiting":
            _send(member, tasks, out, slice_seconds)
    try:
        while out:
            for ticket in tasks.wait(list(out), LOOK_SECONDS):
                member = out.pop(ticket)
                _take_back(member, tasks, ticket)
                if member.state == "waiting":
                    _send(member, tasks, out, slice_seconds)
                else:
                    _say(member)
    finally:
        for member in batch:
            member.folder.let_go()


def _send(member: Member, tasks: Tasks, out: dict[Any, Member], slice_seconds: float) -> None:
    try:
        files = pack(member.folder.path, SENT)
    except (OSError, JobError) as error:
        member.state, member.message = "failed", f"It cannot be read: {error}"
        return
    job = json.loads(files["job.json"])
    job["settings"]["minutes"] = max(member.left / 60.0, 0.01)  # a run counts its own minutes alone
    files["job.json"] = json.dumps(job).encode()
    member.state, member.slices = "training", member.slices + 1
    out[tasks.submit(files, slice_seconds, member.cores)] = member


def _take_back(member: Member, tasks: Tasks, ticket: Any) -> None:
    """Write back what a job has come to; it waits again where there is more to do."""
    try:
        unpack(tasks.answer(ticket), member.folder.path, back=True)
    except Lost:
        member.lost += 1
        member.state = "waiting" if member.lost <= MOST_LOST else "failed"
        member.message = "Its machine was lost too often."
        return
    except (WorkerError, OSError) as error:
        member.state, member.message = "failed", str(error).strip().splitlines()[-1]
        return
    told = [e for e in member.folder.read_events()[0] if isinstance(e, Started | Finished | Failed)]
    if told and isinstance(told[-1], Failed):
        member.state, member.message = "failed", told[-1].message
    elif _ended(member) or member.left <= 0:
        member.state, member.message = "finished", "landed" if member.landed else "nothing landed"
    elif told and isinstance(told[-1], Finished):  # its time there was over
        member.state = "waiting"
    else:
        member.state, member.message = "failed", "Its trainer ended without a word; its log has more."


def _say(member: Member) -> None:
    print(f"{member.state:<9} {member.folder.path}: {member.message}", flush=True)


def main(arguments: list[str]) -> int:
    """Train a batch; exit status 0: all have finished, 1: some have failed, 2: wrong use, 3: some have not landed."""
    parser = argparse.ArgumentParser(prog="backflip batch", description="Train many job folders.")
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="a job, or a folder of jobs")
    parser.add_argument("--cluster", default="", metavar="ADDRESS", help="a Ray cluster's; this computer when left out")
    parser.add_argument("--cores", type=int, default=1, metavar="N", help="for a job that asks for every core (1)")
    parser.add_argument(
        "--slice", type=float, default=SLICE_SECONDS, metavar="S", help="seconds until a job comes back"
    )
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write what became of each there")
    options = parser.parse_args(arguments)
    inside = [each for folder in options.folders if folder.is_dir() for each in sorted(folder.iterdir())]
    found = [each for each in options.folders if not any(one.parent == each and is_job(one) for one in inside)]
    batch = members([*found, *(each for each in inside if is_job(each))], max(options.cores, 1))
    try:
        tasks: Tasks = Threads(core_count())
        if options.cluster:
            ray_machines.connect(options.cluster)
            tasks = ray_machines.RayTasks(train_packed)
        run(batch, tasks, max(options.slice, 1.0))
    except WorkerError as error:
        return _ended_by(str(error), options.json)
    except KeyboardInterrupt:
        return _ended_by("Interrupted; begin it again to go on.", options.json)
    rows = [
        {"job": str(m.folder.path), "state": m.state, "message": m.message, "slices": m.slices, "lost": m.lost}
        | {"landed": m.state == "finished" and m.landed}
        for m in batch
    ]
    if options.json:
        _write_report(options.json.resolve(), {"jobs": rows})
    if any(member.state != "finished" for member in batch):
        return 1
    return 0 if all(row["landed"] for row in rows) else 3


def _ended_by(sentence: str, report: Path | None) -> int:
    """Say why there was no batch, to whoever reads the report or else to whoever looks; returns the exit status."""
    if report:
        _write_report(report.resolve(), {"jobs": [], "error": sentence})
    else:
        print(f"backflip batch: {sentence}", file=sys.stderr)
    return 1


def _write_report(file: Path, report: dict[str, Any]) -> None:
    text = json.dumps(report, indent=1) + "\n"

    def write(out: BinaryIO) -> None:
        out.write(text.encode())

    write_whole(file, write)


def is_job(folder: Path) -> bool:
    return (folder / "job.json").is_file()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    ray_machines.leave()
    sys.stdout.flush()
    os._exit(code)  # threads of tasks that were broken off hold nobody up
