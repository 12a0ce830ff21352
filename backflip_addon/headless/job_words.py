# SPDX-License-Identifier: GPL-3.0-or-later
"""status and jobs: what jobs are doing, asked of their folders; neither opens a .blend."""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ..core import background
from ..core.isolation import clean_environment, python_command, safe_folder
from ..jobs import trainer_process
from ..jobs.folder import JobFolder
from ..jobs.status import plain, read_status
from ..operators import training as road
from ..operators.known_job import avatar_of
from .console import DONE, FAILED, NOT_LANDED, Console, WrongUse, facts_of
from .scene_file import jobs_beside, jobs_in
from .training import succeeded

Report = dict[str, Any]


def _jobs_of(target: str, character: str) -> list[JobFolder]:
    """The jobs of a job folder, of a folder of jobs, or beside a .blend. Raises WrongUse."""
    path = Path(target).resolve()
    if not path.exists():
        raise WrongUse(f"There is no file or folder {path}.")
    found = jobs_in(path) if path.is_dir() else jobs_beside(path)
    return [job for job in found if not character or avatar_of(job) == character]


def status(options: argparse.Namespace, console: Console) -> tuple[int, Report]:
    """The word: how the latest job is doing. Exit status as train has it, 0 while it is at work."""
    found = _jobs_of(options.target, options.character)
    if not found:
        raise WrongUse(f"There is no job{_of(options)} in {options.target}.")
    folder = found[-1]
    now = read_status(folder)
    report: Report = {"job": str(folder.path), "character": avatar_of(folder), **facts_of(now)}
    console.say(
        f"{plain(folder.path.name)}: {now.state}, {now.takes} takes{', landed' if now.landed else ''}. {now.message}"
    )
    if now.state in ("failed", "died", "unreadable"):
        return FAILED, report | {"error": now.message}
    return (NOT_LANDED if now.state in ("finished", "stopped") and not succeeded(folder) else DONE), report


def jobs(options: argparse.Namespace, console: Console) -> tuple[int, Report]:
    """The word: all jobs, one a line."""
    rows: list[Report] = []
    for target in options.targets:
        for folder in _jobs_of(target, options.character):
            now = read_status(folder)
            rows.append({"job": str(folder.path), "character": avatar_of(folder), **facts_of(now)})
            landed = "landed" if now.landed else ""
            console.say(
                f"{now.state:<10} {now.progress:4.0%} {now.takes:>4} takes {landed:<6} {plain(folder.path)}", **rows[-1]
            )
    if not rows:
        console.say(f"There is no job{_of(options)} in {', '.join(options.targets)}.")
    return DONE, {"jobs": rows}


def _of(options: argparse.Namespace) -> str:
    return f" of {options.character}" if options.character else ""


def batch(options: argparse.Namespace, console: Console) -> tuple[int, Report]:
    """The word: the trainer's Python trains all jobs; exit status 3 where one of them has not landed."""
    folders = [Path(target).resolve() for target in options.targets]
    for folder in folders:
        if not folder.is_dir():
            raise WrongUse(f"There is no folder {folder}.")
        if not jobs_in(folder):
            raise WrongUse(f"There is no job in {folder}.")
    python = road.python()
    with tempfile.TemporaryDirectory(prefix="backflip-batch-") as place:
        report = Path(place) / "report.json"
        command = python_command(python, str(trainer_process.ALIAS_PATH / "backflip_batch.py"), *map(str, folders))
        command += ["--json", str(report), "--cores", str(options.cores), "--cluster", options.cluster]
        variables = clean_environment() | trainer_process.cluster_variables()
        with subprocess.Popen(
            command,
            env=variables,
            cwd=safe_folder(python.path),
            stdout=subprocess.PIPE,
            text=True,
            errors="replace",
            creationflags=background.HIDDEN,
        ) as trained:
            try:
                for line in trained.stdout or ():
                    console.say(plain(line.rstrip()))
            except KeyboardInterrupt:
                trained.terminate()
                raise
        told: Report = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else {}
        rows: list[Report] = told.get("jobs", [])
    if trained.returncode in (DONE, NOT_LANDED):
        return trained.returncode, {"jobs": rows}
    failed = [row for row in rows if row["state"] != "finished"]
    words = f"{len(failed)} of {len(rows)} jobs have not finished."
    if not rows:
        words = told.get("error", "The batch could not be trained.")
    return FAILED, {"jobs": rows, "error": words}
