# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of the trainer's Python: written by operators.runtime, shown by the preferences and a panel."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from .deletion import Removal
from .find import RuntimeSearch, State
from .install import Installation


@dataclasses.dataclass
class RuntimeStatus:
    """The state of the trainer's Python, of the search for it, and of what is being done to it.

    state: of the Python that was found; pybullet: whether it has PyBullet; addable: whether it can be added. lines:
    what to say of it. icon: Blender's name of the icon beside them.
    fraction: progress of the work, 0 to 1. remark: what else the user should know of the last work.
    """

    ready: bool = True  # until it has been looked for
    pybullet: bool = True  # as well
    addable: bool = False
    state: State | None = None
    lines: tuple[str, ...] = ()
    remark: str = ""
    icon: Literal["NONE", "CHECKMARK", "ERROR"] = "NONE"
    work: Installation | Removal | None = None
    fraction: float = 0.0
    search: RuntimeSearch | None = None
    clips: dict[str, Path] = dataclasses.field(default_factory=dict)  # that came with it, by their names in the menu
    installed: bool | None = None  # whether there is anything to repair or remove; None: not looked at since it changed

    @property
    def heading(self) -> str:
        """The state in a word or two."""
        if self.work is not None:
            return "At Work"
        return _HEADINGS[self.state] if self.state is not None else "Looking"


_HEADINGS: dict[State, str] = {
    "ready": "Ready",
    "missing": "Not Installed",
    "outdated": "Outdated",
    "broken": "Broken",
}
STATUS = RuntimeStatus()
