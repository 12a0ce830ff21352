# SPDX-License-Identifier: GPL-3.0-or-later
"""status and jobs: what jobs are doing, asked of their folders; neither opens a .blend."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..jobs.folder import JobFolder
from ..jobs.status import read_status
from ..operators.known_job import avatar_of
from .console import DONE, FAILED, NOT_LANDED, Console, HeadlessError, WrongUse, facts_of
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
        raise HeadlessError(f"There is no job in {options.target}.")
    folder = found[-1]
    now = read_status(folder)
    report: Report = {"job": str(folder.path), "character": avatar_of(folder), **facts_of(now)}
    console.say(f"{folder.path.name}: {now.state}, {now.takes} takes{', landed' if now.landed else ''}. {now.message}")
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
                f"{now.state:<10} {now.progress:4.0%} {now.takes:>4} takes {landed:<6} {folder.path}", **rows[-1]
            )
    return DONE, {"jobs": rows}
