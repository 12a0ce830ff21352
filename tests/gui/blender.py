# SPDX-License-Identifier: GPL-3.0-or-later
"""A display of our own and a Blender with a window on it: from factory settings, with the built zip installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .x11 import Screen

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FOLDER = ROOT / ".env-walks"  # which git ignores
BLENDER, TRAINER = "BACKFLIP_BLENDER", "BACKFLIP_PYTHON"  # environment variables
_START_SECONDS, _ANSWER_SECONDS, _INSTALL_SECONDS, _COMPILE_SECONDS = 90.0, 30.0, 300.0, 900.0


class WalkError(Exception):
    """Why a walk cannot be made or did not come to its end, in one sentence."""


def missing() -> str:
    """What of a walk's needs this computer lacks, in a sentence; "" when all is there."""
    if sys.platform != "linux":
        return "The walks need a virtual display, which there is for Linux alone."
    if not os.environ.get(BLENDER):
        return f"The environment variable {BLENDER} names no Blender to walk through."
    if not shutil.which(os.environ[BLENDER]):
        return f"{BLENDER} names {os.environ[BLENDER]}, which cannot be run."
    for program in ("Xvfb", "xkbcomp"):
        if not shutil.which(program):
            return f"The virtual display lacks {program}: on Debian and Ubuntu run sudo apt-get install xvfb."
    if not os.environ.get(TRAINER):
        return f"The environment variable {TRAINER} names no Python to train with."
    return ""


@contextmanager
def display(width: int, height: int) -> Iterator[tuple[int, Screen]]:
    """A virtual display; its number and a connection to it."""
    read, write = os.pipe()
    size = ("-screen", "0", f"{width}x{height}x24", "-dpi", "96")
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), *size, "-nolisten", "tcp"],
        pass_fds=(write,),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as told:
            number = told.readline().strip()
        if not number:
            raise WalkError(f"The virtual display ended with status {server.wait()}; run Xvfb to see why.")
        screen = Screen(int(number))
        yield int(number), screen
        screen.close()
    finally:
        server.terminate()
        server.wait()


def prepare_user() -> Path:
    """A user's folder of Blender's with nothing in it but the add-on, out of the zip, as Install from Disk puts it.

    It is always the same, since what is compiled for a package is known by the package's place. Raises WalkError.
    """
    shutil.rmtree(FOLDER, ignore_errors=True)
    user = FOLDER / "user"
    user.mkdir(parents=True)
    subprocess.run([sys.executable, str(ROOT / "build.py")], check=True, stdout=subprocess.DEVNULL)
    built = max((ROOT / "dist").glob("backflip-*.zip"), key=lambda path: path.stat().st_mtime)
    command = ["--command", "extension", "install-file", "--repo", "user_default", "--enable", str(built)]
    run_blender(user, command, _INSTALL_SECONDS)
    addon = user / "extensions" / "user_default" / "backflip"
    if not addon.is_dir():
        raise WalkError("Blender did not install the zip; start it with the same arguments to see why.")
    _compile(addon)
    return user


def run_blender(user: Path, arguments: Sequence[str], seconds: float) -> None:
    """Run Blender without a window to its end. Raises WalkError."""
    run = subprocess.run(
        [os.environ[BLENDER], *arguments],
        env=_variables(user),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
    )
    if run.returncode:
        raise WalkError(f"Blender ended with status {run.returncode}: {(run.stderr or run.stdout).strip()[-300:]}")


def _compile(addon: Path) -> None:
    """Compile the physics, as the add-on's own Install does in its last step; quick where that was done before."""
    command = [os.environ[TRAINER], str(addon / "jobs" / "alias" / "backflip_compile.py")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=_COMPILE_SECONDS, check=False)
    if run.returncode:
        raise WalkError(f"The trainer's Python cannot compile the physics: {run.stderr.strip()[-300:]}")


def _variables(user: Path) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return own | {"BLENDER_USER_RESOURCES": str(user), "LIBGL_ALWAYS_SOFTWARE": "1"}


class Blender:
    """A Blender with a window, which can be asked for its looks and facts but is pressed through the screen alone."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self._process, self._folder, self._asked = process, folder, 0
        self._words: dict[str, np.ndarray] = {}

    def words(self, words: str) -> np.ndarray:
        """Words as a button has them; (rows, columns), white on black."""
        if words not in self._words:
            self._words[words] = np.load(self._ask(".npy", words=words))
        return self._words[words]

    def facts(self) -> dict[str, Any]:
        """See inside.py."""
        told: dict[str, Any] = json.loads(self._ask(".json").read_text(encoding="utf-8"))
        return told

    def _ask(self, ending: str, seconds: float = _ANSWER_SECONDS, **wanted: str) -> Path:
        self._asked += 1
        ask = self._folder / f"{self._asked:04d}.ask"
        new = ask.with_suffix(".new")
        new.write_text(json.dumps(wanted), encoding="utf-8")
        new.rename(ask)
        answer, until = ask.with_suffix(ending), time.monotonic() + seconds
        while not answer.exists():
            if self._process.poll() is not None:
                raise WalkError(f"Blender ended with status {self._process.returncode}; see {self._folder / 'log'}.")
            if time.monotonic() > until:
                raise WalkError(f"Blender has not answered for {seconds:.0f} s.")
            time.sleep(0.02)
        return answer

    @classmethod
    @contextmanager
    def started(cls, display: int, user: Path, size: tuple[int, int], *arguments: str) -> Iterator[Blender]:
        """Start it, its window as large as the screen. Raises WalkError."""
        folder = Path(tempfile.mkdtemp(prefix="asks-", dir=FOLDER))
        window = ("--gpu-backend", "opengl", "--window-geometry", "0", "0", *map(str, size))
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen(
                [os.environ[BLENDER], *window, *arguments, "--python", str(HERE / "inside.py"), "--", str(folder)],
                env=_variables(user) | {"DISPLAY": f":{display}"},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            blender = cls(process, folder)
            blender._ask(".json", _START_SECONDS)
            yield blender
        finally:
            process.terminate()
            process.wait()
