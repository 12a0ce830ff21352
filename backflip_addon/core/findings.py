# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a clip, and how it is kept."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from .reading import parse_json

WARNING, INFO = "warning", "info"
_MOST_TEXT = 100_000  # letters of a clip's findings


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something odd about a clip, or with INFO for a level something that may be done with it.

    code: for programs. sentence: for the user. fix: settings that would mend it, JSON-ready, such
    as {"time_scale": 2.0} (Motion.scaled_in_time), {"start": s} and {"end": s} (trim), {"loops": True},
    {"strength": 1} (which of rigs.strength_presets.PRESETS).
    """

    code: str
    sentence: str
    fix: dict[str, Any] = dataclasses.field(default_factory=dict)
    level: str = WARNING


@functools.lru_cache(maxsize=4)
def kept_notes(text: str) -> list[dict[str, Any]]:
    """Findings kept as text in a .blend, which may be a stranger's: what is none of them is left out."""
    try:
        notes = parse_json(text) if 0 < len(text) <= _MOST_TEXT else []
    except (ValueError, RecursionError):
        return []
    return [note for note in notes if _is_note(note)] if isinstance(notes, list) else []


def odd(text: str) -> int:
    """How many of the findings kept as text tell of something odd, and not only of what may be done."""
    return sum(note.get("level") != INFO for note in kept_notes(text))


def _is_note(note: Any) -> bool:
    if not isinstance(note, dict) or not isinstance(note.get("fix"), dict):
        return False
    words = (note.get("code"), note.get("sentence"))
    return all(isinstance(w, str) for w in words) and all(isinstance(v, (int, float)) for v in note["fix"].values())
