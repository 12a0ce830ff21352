# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's events as they lie on the disk, read and written without the code under test."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any, Protocol


class _Folder(Protocol):
    @property
    def events_file(self) -> Path: ...


def told(folder: _Folder, kind: str = "") -> list[dict[str, Any]]:
    """The events of a job, or those of one kind. Half a line, written just now or by a killed trainer, is none."""
    lines = folder.events_file.read_text(encoding="utf-8").split("\n") if folder.events_file.exists() else []
    events = []
    for line in lines:
        with contextlib.suppress(json.JSONDecodeError):
            events.append(json.loads(line))
    return [event for event in events if not kind or event["kind"] == kind]


def tell(folder: _Folder, kind: str, **fields: Any) -> None:
    """Append an event, as a trainer would."""
    with open(folder.events_file, "a", encoding="utf-8") as file:
        file.write(json.dumps({"time": time.time(), "kind": kind, **fields}) + "\n")
