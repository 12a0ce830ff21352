# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender asks of the trainer: one JSON file a request, named by when it was made. Standard library alone.

A request stays until it has been obeyed, so that nothing is lost with a trainer that is killed. What is
none is put aside under another name: a stranger's file is never deleted, and never stands in the way of a good one.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
import uuid
from pathlib import Path
from typing import Any

from ..core.files import is_own_folder
from .json_files import MOST_SHORT_BYTES, MOST_WHOLE, JobError, load_object, write_json
from .messages import REQUEST_KINDS, Request, RequestKind

OUR_NAME = re.compile(r"([0-9]{20})-[0-9a-f]{8}\.json")
REFUSED, OBEYED = ".refused", ".obeyed"  # how the names of files that were put aside end


class Requests:
    """The requests folder of one job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[str, Request] = {}  # by file name; a request never changes once it is there
        self._finished: set[str] = set()  # obeyed, should a file refuse to go

    def make(self, kind: RequestKind, fields: dict[str, Any]) -> str:
        """Write a request; returns its id. Raises OSError, and JobError when the folder is a link."""
        if kind not in REQUEST_KINDS:
            raise ValueError(f"unknown request {kind!r}")
        self.folder.mkdir(exist_ok=True)
        if not is_own_folder(self.folder):
            raise JobError(f"{self.folder} is a link; Backflip follows no links in a training's folder.")
        name = f"{self._next_number():020d}-{uuid.uuid4().hex[:8]}"
        write_json(self.folder / f"{name}.json", Request(kind, name, fields).to_json())
        return name

    def pending(self) -> list[Request]:
        """All requests in the order they were made; what is none is put aside. Raises OSError."""
        names = [name for name in self._names() if name not in self._finished]
        read = {name: self._read.get(name) or self._load(name) for name in names}
        self._read = {name: request for name, request in read.items() if request}
        return list(self._read.values())

    def finish(self, request: Request) -> None:
        """Remove a request that has been obeyed; one that is gone already is fine."""
        name = f"{request.id}.json"
        self._finished.add(name)
        if Path(name).name != name or not is_own_folder(self.folder):
            return
        if OUR_NAME.fullmatch(name):
            with contextlib.suppress(OSError):
                (self.folder / name).unlink(missing_ok=True)
        else:
            put_aside(self.folder / name, OBEYED)

    def _load(self, name: str) -> Request | None:
        """A request, or None: put aside when it is none, left alone when it cannot be read just now."""
        file = self.folder / name
        try:
            return Request.from_json(load_object(file, MOST_SHORT_BYTES), name.removesuffix(".json"))
        except OSError:
            return None
        except ValueError:
            put_aside(file, REFUSED)
            return None

    def _names(self) -> list[str]:
        """The names of what may be requests, in order; of whatever kind they are."""
        if not is_own_folder(self.folder):
            return []
        with os.scandir(self.folder) as entries:
            return sorted(entry.name for entry in entries if entry.name.endswith(".json"))

    def _next_number(self) -> int:
        """Nanoseconds since 1970, or more: a clock that was set back must not put Resume before Pause."""
        numbers = [int(match[1]) for name in self._names() if (match := OUR_NAME.fullmatch(name))]
        latest = max((number for number in numbers if number < MOST_WHOLE - 1), default=0)
        return max(time.time_ns(), latest + 1)


def put_aside(file: Path, ending: str) -> None:
    """Rename a file, folder or link, itself and not what it points to. What cannot be renamed stays."""
    with contextlib.suppress(OSError):
        os.rename(file, file.with_name(f"{file.name}.{uuid.uuid4().hex[:6]}{ending}"))
