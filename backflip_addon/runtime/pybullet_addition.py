# SPDX-License-Identifier: GPL-3.0-or-later
"""Adding PyBullet from conda-forge to an installed runtime, where there is no wheel of it.

As an installation it is to be polled, and what it writes lies in a folder of its own until it has been tried.
"""

from __future__ import annotations

from pathlib import Path

from ..core.start_with_packages import conda_site
from . import deletion, folders, packages, pins
from .folders import Installed
from .install import Installation
from .packages import Step
from .pythons import Base

# About what conda-forge's package has; its longest path is that of the wheel and of what conda puts before it
PYBULLET_SIZE = pins.Size(70_000_000, 300_000_000, 98 + len("pybullet-3.25-py313h0000000_5/Lib/site-packages/"))
INSTALL_FIRST = "There is no trainer's Python to add PyBullet to; press Install first."

_PROGRAM = """
import sys
sys.path.append(sys.argv[1])
import pybullet
world = pybullet.connect(pybullet.DIRECT)
pybullet.stepSimulation(physicsClientId=world)
"""


def size() -> pins.Size:
    """How large it is: what brings it, and itself. Of the former nothing stays."""
    return pins.size(pins.conda_lock()) + PYBULLET_SIZE


class PyBulletAddition(Installation):
    """An addition at work."""

    CHECKS = 0  # a step of its own
    DONE = "PyBullet was added."

    def __init__(self, home: Path, installed: Installed | None, wheels: str = "") -> None:
        self._installed = installed
        self._prefix = Path()
        there = installed is not None and installed.interpreter.path
        base = Base(installed.interpreter.path, installed.version) if installed is not None and there else None
        super().__init__(home, base, wheels)

    @classmethod
    def begin(cls, home: str | Path, python: str = "", wheels: str = "") -> PyBulletAddition:
        """Start it for the runtime that is installed in home; python is that one's. Else as Installation.begin()."""
        return cls(Path(home), folders.installed(Path(home)), wheels)._started()

    def _planned(self, base: Base) -> list[tuple[Step, ...]]:
        assert self._installed is not None
        self._prefix = self.folder / "p"  # short: Windows' paths are
        trial = ("-c", _PROGRAM, conda_site(str(self._prefix), pins.name(base.version)))
        pip, tool = self.folder / "pip.zip", self.folder / "tool"
        steps = packages.pybullet_steps(tool, self._prefix, self._installed.interpreter, trial, pip, self._wheels)
        return [(step,) for step in steps]

    def _lacks_base(self) -> str:
        return "" if self._base is not None else INSTALL_FIRST

    def _size(self) -> pins.Size:
        return size()

    def _begin_folder(self) -> None:
        pass

    def _finish(self) -> None:
        assert self._base is not None
        runtime = folders.runtime_folder(self.home, self._base.version)
        aside = self._put(self._prefix, folders.conda_folder(runtime))
        self._end("done", self.DONE)
        deletion.delete([aside] if aside else [])
