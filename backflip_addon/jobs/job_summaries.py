# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of a folder, each in a line: whose, which clip, when, whether it landed, whether it runs. For a thread.

Whatever is read may be a stranger's, and much: each file is looked at as far as a bound.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

from ..core.files import RefusedFile, open_regular
from .folder import JobFolder
from .json_files import JobError
from .status import plain

MOST_JOBS = 100  # the latest ones
MOST_EVENT_BYTES = 8_000_000  # from the end: whether it landed is told there
LANDED = (b'"landed": true', b'"landed":true')


@dataclasses.dataclass(frozen=True)
class JobSummary:
    """One job. changed: when it last did something, seconds since 1970."""

    path: str
    avatar: str
    clip: str
    changed: float
    landed: bool
    running: bool


def summaries(places: Iterable[Path]) -> list[JobSummary]:
    """The jobs in these folders, the latest first; what is no job is passed over."""
    found = []
    for place in places:
        try:
            with os.scandir(place) as entries:
                found += [(entry.stat().st_mtime, entry.path) for entry in entries if entry.is_dir()]
        except OSError:
            continue
    return [told for _time, path in sorted(found, reverse=True)[:MOST_JOBS] if (told := _summary(JobFolder(path)))]


def _summary(folder: JobFolder) -> JobSummary | None:
    try:
        job = folder.read_job()
        changed = max(os.stat(file).st_mtime for file in (folder.events_file, folder.job_file) if file.exists())
        clip = str(job.reference.get("label", ""))
        return JobSummary(
            str(folder.path), plain(job.avatar, 60), plain(clip, 60), changed, _landed(folder), folder.running()
        )
    except (OSError, ValueError, JobError):
        return None


def _landed(folder: JobFolder) -> bool:
    """Whether an event at the end of the job's tells of a landing."""
    try:
        with open_regular(folder.events_file) as file:
            file.seek(max(file.seek(0, os.SEEK_END) - MOST_EVENT_BYTES, 0))
            told = file.read(MOST_EVENT_BYTES)
    except (OSError, RefusedFile):
        return False
    return any(words in told for words in LANDED)
