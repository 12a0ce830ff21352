# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Python lacks to be the trainer's. Asking never blocks: Probe.begin(), then poll() from a timer."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO

from ..core import background, isolation
from ..core.isolation import Interpreter
from . import packages, pins

PROBE_SECONDS = 20.0
IMPORT_SECONDS = 120.0  # torch's first import on a cold disk is slow

WITHOUT_PYBULLET = "Takes are simulated by Backflip's own physics: it has no PyBullet."

_MARK = "backflip-check:"

_NEEDED = ("numpy", "torch", "numba")
_PYBULLET = pins.package_name(pins.PYBULLET)

# Runs in the other Python, which may be of any version: plain syntax, no imports that may be missing.
_PROBE = """
import json, sys
names, deep = json.loads(sys.argv[1])
found, broken = {}, {}
try:
    from importlib import metadata
except ImportError:
    metadata = None
for name in names:
    try:
        found[name] = metadata.version(name) if metadata else ""
    except Exception:
        found[name] = ""
    if deep and found[name]:
        try:
            __import__(name)
        except Exception as error:
            broken[name] = str(error) or type(error).__name__
facts = {"version": list(sys.version_info[:3]), "bits": 64 if sys.maxsize > 2**32 else 32}
facts.update(found=found, broken=broken)
print("MARK" + json.dumps(facts))
""".replace("MARK", _MARK)


@dataclasses.dataclass(frozen=True)
class ProbeResult:
    """What a Python is and lacks.

    version: () when it does not run. missing: the packages that are absent or broken, in words.
    sentence: for the user, whether all is well or not. pybullet: whether it has PyBullet, without which it can do too.
    """

    python: str
    version: tuple[int, ...]
    missing: tuple[str, ...]
    sentence: str
    pybullet: bool = False

    @property
    def ready(self) -> bool:
        return not self.missing


class Probe:
    """A Python that is being asked."""

    def __init__(self, python: str, process: subprocess.Popen[bytes] | None, out: IO[bytes], seconds: float) -> None:
        self.python = python
        self._process = process
        self._out = out
        self._end = time.monotonic() + seconds
        self._result: ProbeResult | None = None

    @classmethod
    def begin(cls, python: str | Interpreter, imports: bool = False) -> Probe:
        """Ask an interpreter (or the folder of an environment) what it has, or what is in the packages it is given.

        imports: import the packages too, which takes seconds and finds broken ones.
        """
        asked = python if isinstance(python, Interpreter) else Interpreter(interpreter(python))
        python = asked.path
        question = json.dumps([(*_NEEDED, _PYBULLET), imports])
        process = None
        try:
            out = tempfile.TemporaryFile()  # noqa: SIM115 - read when the process has ended, in poll()
        except OSError:
            running = cls(python, None, io.BytesIO(), 0.0)
            words = f"{python} cannot be asked: no temporary file can be written; check whether the disk is full."
            running._finish(ProbeResult(python, (), ("Python",), words))
            return running
        with contextlib.suppress(OSError, ValueError):  # told by poll()
            process = subprocess.Popen(
                isolation.python_command(asked, "-c", _PROBE, question),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=isolation.clean_environment(),
                cwd=isolation.safe_folder(python),
                creationflags=background.HIDDEN,
            )
        return cls(python, process, out, IMPORT_SECONDS if imports else PROBE_SECONDS)

    def poll(self) -> ProbeResult | None:
        """What was found, None while it is not known yet."""
        if self._result is None:
            if self._process is None:
                self._finish(not_running(self.python))
            elif self._process.poll() is not None:
                self._out.seek(0)
                self._finish(_read_answer(self.python, self._out.read().decode("utf-8", "replace")))
            elif time.monotonic() > self._end:
                self.cancel()
                words = f"{self.python} does not answer; choose another Python or install the runtime."
                self._finish(ProbeResult(self.python, (), ("Python",), words))
        return self._result

    def cancel(self) -> None:
        """End the asking; whatever was found is lost."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _finish(self, result: ProbeResult) -> None:
        self._result = result
        self._out.close()


def probe(python: str | Interpreter, imports: bool = False) -> ProbeResult:
    """What an interpreter lacks; blocks for a tenth of a second, with imports for some seconds."""
    running = Probe.begin(python, imports)
    while (result := running.poll()) is None:
        time.sleep(0.01)
    return result


def interpreter(path: str) -> str:
    """The interpreter meant by a path a user gave: itself, or that of the environment in a folder."""
    folder = Path(os.path.abspath(_without_tilde(path)))
    for file in (packages.environment_python(folder), folder / "bin" / "python3", folder / "python.exe"):
        if folder.is_dir() and file.is_file():
            return str(file)
    return str(folder)


def _without_tilde(path: str) -> str:
    try:
        return str(Path(path).expanduser())
    except RuntimeError:  # nobody's home is known
        return path


def not_running(python: str) -> ProbeResult:
    """The result for something that cannot be run at all."""
    words = f"{python} is not a Python that can be run; choose another in the preferences."
    return ProbeResult(python, (), ("Python",), words)


def _read_answer(python: str, output: str) -> ProbeResult:
    lines = [line for line in output.splitlines() if line.startswith(_MARK)]
    try:
        facts = json.loads(lines[-1].removeprefix(_MARK))
        major, minor, *rest = (int(number) for number in facts["version"])
        found, broken, bits = dict(facts["found"]), dict(facts["broken"]), int(facts["bits"])
    except (IndexError, KeyError, TypeError, ValueError):
        return not_running(python)
    version = (major, minor, *rest)
    name = ".".join(map(str, version))
    lowest = pins.name(pins.PYTHONS[0])
    if version < pins.PYTHONS[0] or bits != 64:
        words = f"{python} is a {bits}-bit Python {name}; the trainer needs a 64-bit Python {lowest} or newer."
        return ProbeResult(python, version, (f"Python {lowest}",), words)
    lacks = tuple(filter(None, (_lack(package, found, broken) for package in _NEEDED)))
    pybullet = not _lack(_PYBULLET, found, broken)
    if lacks:
        return ProbeResult(python, version, lacks, f"Python {name} at {python} lacks {_join(lacks)}.", pybullet)
    words = f"Python {name} with {_versions(found)} is ready."
    return ProbeResult(python, version, (), words if pybullet else f"{words} {WITHOUT_PYBULLET}", pybullet)


def as_installed(result: ProbeResult) -> ProbeResult:
    """What was found in packages that we have installed: PyBullet is to be among them where there is a wheel of it."""
    version = result.version[:2]
    if result.pybullet or version not in pins.PYTHONS or not pins.has_pybullet(version):
        return result
    missing = (*result.missing, _PYBULLET)
    name = ".".join(map(str, result.version))
    return dataclasses.replace(
        result, missing=missing, sentence=f"Python {name} at {result.python} lacks {_join(missing)}."
    )


def _lack(package: str, found: dict[str, str], broken: dict[str, str]) -> str:
    """What is wrong with one package, "" if nothing is. Another version than the pinned one will do."""
    if not found.get(package):
        return package
    return f"a working {package} ({broken[package].splitlines()[0]})" if package in broken else ""


def _versions(found: dict[str, str]) -> str:
    return _join([f"{name} {version}" for name, version in found.items() if version])


def _join(words: tuple[str, ...] | list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
