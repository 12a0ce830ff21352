# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks that find a person in a picture: brought on the user's click alone, or taken from a file.

They are BlazePose's, by Google, under the Apache License 2.0, and lie in the wheel of mediapipe, of which nothing else
is used. The wheel comes through pip and is held by its hash, the networks by their own; it is opened as the zip it is.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import subprocess
import time
import zipfile
from pathlib import Path
from typing import BinaryIO

from ..core import background, isolation
from ..core.files import write_whole
from ..core.isolation import Interpreter
from . import deletion, packages, pythons
from .progress import Progress, State, error_words
from .step_run import WATCHDOG

WHEEL = "mediapipe==0.10.21"
WHEEL_HASH = "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3"  # of the one for Linux and Python 3.11
_PLATFORM = ("--platform", "manylinux_2_28_x86_64", "--python-version", "3.11", "--implementation", "cp")
LICENCE = "Apache License 2.0"
SIZE_WORDS = "36 MB to download, 9 MB on the disk"
MODELS = {  # name -> where it lies in the wheel, SHA-256
    "pose_detection.tflite": (
        "mediapipe/modules/pose_detection/pose_detection.tflite",
        "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    ),
    "pose_landmark_full.tflite": (
        "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    ),
}
_MOST_BYTES = 20_000_000  # of a network
_NOTICE = (
    "pose_detection.tflite and pose_landmark_full.tflite are BlazePose's networks, Copyright The MediaPipe Authors, "
    "licensed under the Apache License, Version 2.0 (https://www.apache.org/licenses/LICENSE-2.0).\n"
)
LACKING = (
    f"The networks that find a person in a video are not installed: press Install Networks ({SIZE_WORDS}, {LICENCE}). "
    "Or choose a file of mediapipe 0.10.21 (.whl) or a folder that holds them."
)


class ModelsError(Exception):
    """Networks that cannot be installed; the message is one sentence for the user."""


def are_installed(folder: Path) -> bool:
    """Whether all networks are in a folder; what they hold was looked at when they were put there."""
    return all((folder / name).is_file() for name in MODELS)


def take_from(source: Path, folder: Path) -> None:
    """Put the networks of a wheel, or of a folder that holds them, into a folder. Raises ModelsError."""
    found = _in_folder(source) if source.is_dir() else _in_wheel(source)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in {**found, "NOTICE.txt": _NOTICE.encode()}.items():
            write_whole(folder / name, functools.partial(_write, data))
    except OSError as error:
        raise ModelsError(error_words(error, folder)) from error


def _write(data: bytes, file: BinaryIO) -> None:
    file.write(data)


def _in_folder(folder: Path) -> dict[str, bytes]:
    found = {}
    for name in MODELS:
        try:
            with open(folder / name, "rb") as file:
                found[name] = _checked(name, file.read(_MOST_BYTES), folder)
        except OSError as error:
            raise ModelsError(f"{folder} does not hold {name}: choose the folder in which the networks lie.") from error
    return found


def _in_wheel(wheel: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return {name: _checked(name, _member(archive, place), wheel) for name, (place, _hash) in MODELS.items()}
    except (OSError, zipfile.BadZipFile, KeyError, RuntimeError, NotImplementedError) as error:
        raise ModelsError(f"{wheel.name} does not hold the networks: choose the wheel of {WHEEL}.") from error


def _member(archive: zipfile.ZipFile, place: str) -> bytes:
    with archive.open(place) as file:
        return file.read(_MOST_BYTES)


def _checked(name: str, data: bytes, source: Path) -> bytes:
    if hashlib.sha256(data).hexdigest() != MODELS[name][1]:
        raise ModelsError(f"{name} in {source.name} is another network than Backflip knows; it was not installed.")
    return data


class ModelsDownload:
    """A download of the networks at work: begin(), then poll() from a timer."""

    def __init__(self, folder: Path, python: str) -> None:
        self._folder, self._work = folder, folder.with_name(f"{folder.name}-{os.getpid()}-{time.time_ns()}")
        pip, wanted = self._work / "pip.zip", self._work / "wanted.txt"
        bring = (str(packages.PIP_SCRIPT), str(pip), packages.PIP_WHEEL, packages.PIP_HASH)
        fetch = ("-m", "pip", "download", "--no-input", "--disable-pip-version-check", "--progress-bar", "off")
        held = ("--no-deps", "--only-binary", ":all:", "--require-hashes", "--no-cache-dir", *_PLATFORM)
        named = ("-r", str(wanted), "-d", str(self._work / "wheel"))
        self._commands = [
            packages.isolated(python, "-B", *bring, *packages.index_named()[1:]),
            packages.isolated(Interpreter(python, str(pip)), *fetch, *held, *packages.index_named(), *named),
        ]
        self._wanted, self._log = wanted, self._work / "log.txt"
        self._process: subprocess.Popen[bytes] | None = None
        self._result: Progress | None = None

    @classmethod
    def begin(cls, folder: Path) -> ModelsDownload:
        """Start to bring the networks into a folder. The caller has seen that the user wants it and may go online."""
        base = pythons.find_base("", deletion.own_python())
        download = cls(folder, base.python if base is not None else "")
        if base is None:
            return download._end("failed", pythons.lack_base_words())
        try:
            download._work.mkdir(parents=True)
            download._wanted.write_text(f"{WHEEL} --hash=sha256:{WHEEL_HASH}\n", encoding="utf-8")
            download._next()
        except OSError as error:
            download._end("failed", error_words(error, folder))
        return download

    def poll(self) -> Progress:
        """Go on as far as possible without waiting, and say how far it is."""
        if self._result is None and self._process is not None and (code := self._process.poll()) is not None:
            try:
                self._step_ended(code)
            except OSError as error:
                self._end("failed", error_words(error, self._folder))
        return self._result or Progress("running", 0.0, f"Downloading the networks ({SIZE_WORDS})")

    def cancel(self) -> None:
        """End the download and remove what it has brought."""
        if self._result is None:
            self._end("cancelled", "The download was cancelled.")

    def wait(self) -> Progress:
        """Wait for the end."""
        while (progress := self.poll()).state == "running":
            time.sleep(0.1)
        return progress

    def _step_ended(self, code: int) -> None:
        if code:
            log = self._log.read_text(encoding="utf-8", errors="replace")
            self._end("failed", packages.failure_words(log))
        elif self._commands:
            self._next()
        else:
            wheel = next((self._work / "wheel").glob("mediapipe-*.whl"), None)
            try:
                take_from(wheel or self._work / "wheel", self._folder)
            except ModelsError as error:
                self._end("failed", str(error))
            else:
                self._end("done", "The networks are installed.")

    def _next(self) -> None:
        command = self._commands.pop(0)
        with open(self._log, "ab") as log:
            self._process = background.start(
                isolation.python_command(command[0], "-B", str(WATCHDOG), *command),
                stdin=subprocess.PIPE,  # whose end tells that Blender's has come
                stdout=log,
                stderr=subprocess.STDOUT,
                env=isolation.clean_environment() | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self._work)),
                cwd=isolation.safe_folder(command[0]),
            )

    def _end(self, state: State, words: str) -> ModelsDownload:
        process = self._process
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()  # the watchdog ends what is still at work
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5.0)
        shutil.rmtree(self._work, ignore_errors=True)
        self._result = Progress(state, 1.0 if state == "done" else 0.0, words)
        return self
