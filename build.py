#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one entry for a newcomer; needs Python 3.11 and nothing else.

python3 build.py            validate the manifest and write dist/backflip-<version>.zip
python3 build.py demo       learn a stunt from nothing: a film, a .blend, an .fbx and a report
python3 build.py test       run the tests on every Blender that can be installed
python3 build.py lint       hold the code's style; with --fix mend what can be mended, and format
python3 build.py types      hold the types, Blender's included
python3 build.py lock       pin all packages of pyproject.toml, and what they need, by hash
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from backflip_addon.core import isolation
from backflip_addon.core.progress_lines import last_told
from backflip_addon.runtime import packages, pins, pythons

ROOT = Path(__file__).resolve().parent
STAMP_NAME = "backflip-stamp.json"
LOCKS = ROOT / ".ci" / "locks"  # of the tests' environments


class BuildError(Exception):
    """What stops the work, in one sentence for the user."""


@dataclasses.dataclass(frozen=True)
class Environment:
    """A virtual environment in the repository's root. groups: of pyproject.toml's dependency-groups."""

    name: str
    blender: str  # "" where it holds none
    python: tuple[int, int]
    groups: tuple[str, ...]
    gigabytes: float
    runs: tuple[tuple[str, ...], ...] = ((),)  # of pytest, each with its arguments: what is tested there
    sees: Environment | None = None  # another one, of the same Python, whose packages can be imported too

    @property
    def folder(self) -> Path:
        return ROOT / f".env-{self.name}"

    @property
    def interpreter(self) -> Path:
        return packages.environment_python(self.folder)

    @property
    def site_packages(self) -> Path:
        version = ".".join(map(str, self.python))
        return self.folder / ("Lib/site-packages" if os.name == "nt" else f"lib/python{version}/site-packages")

    @property
    def locks(self) -> tuple[Path, Path | None]:
        """Hashes of all that is installed; torch's apart, where it is."""
        torch = pins.torch_lock() if "trainer" in self.groups else None
        return pins.lock_file(self.name, folder=LOCKS), torch


TEXTS = tuple(f"tests/test_{name}.py" for name in ("house", "layers", "pages"))  # what only reads the code
PLAIN = ("tests/core", "tests/jobs", "tests/runtime", *TEXTS)  # tests that need no compiled physics
WALKS = tuple(f"tests/operators/test_{name}.py" for name in ("buttons", "panels", "registration", "road"))
IN_BLENDER = ("tests/scene", "tests/test_headless.py", *WALKS)  # enough between two that are tested whole
OTHER_PYTHON = tuple(f"--ignore={path}" for path in ("tests/core", "tests/trainer", "tests/operators", *TEXTS))
RUNS_AT_ONCE = 3  # on two cores: a run of tests waits for processes that it has started for a fourth of its time
TRAINER = tuple(("tests/trainer", f"--ignore-glob=*/test_[{others}]*") for others in ("m-z", "a-l"))
MAIN_RUNS = (PLAIN, *TRAINER, ("tests/operators",), (*OTHER_PYTHON, "--ignore=tests/jobs", "--ignore=tests/runtime"))
MAIN = Environment("3.11-bpy45", "4.5 LTS", (3, 11), ("trainer", "conda", "bpy45", "test"), 3.6, MAIN_RUNS)
OTHERS = (
    Environment("3.13-bpy52", "5.2 LTS", (3, 13), ("bpy52", "test"), 1.8, (("tests/operators",), OTHER_PYTHON)),
    Environment("3.11-bpy50", "5.0", (3, 11), ("bpy50", "test"), 1.8, (IN_BLENDER,)),
)
# mypy reads the types of numpy and torch off the environment that trains, so that it holds what runs.
TYPES = Environment("3.11-types", "", (3, 11), ("types",), 0.2, sees=MAIN)


# Environments


def make_environment(environment: Environment) -> Path:
    """The environment's interpreter; made first when it is not there or has other pins."""
    lock, torch_lock = environment.locks
    stamp = pins.fingerprint(*filter(None, environment.locks))
    if _stamp(environment) == stamp and pythons.answers_as(str(environment.interpreter), environment.python):
        return environment.interpreter
    if lacking := pins.lacks_lock(*filter(None, environment.locks)):
        raise BuildError(lacking)
    base = pythons.find_python(environment.python, (sys.executable,), with_venv=True)
    if not base:
        raise BuildError(pythons.lack_words(environment.python))
    _need_disk(environment.gigabytes)
    purpose = f"Blender {environment.blender}" if environment.blender else "the types"
    say(f"Making {environment.folder.name} for {purpose} with {base}")
    for step in packages.environment_steps(environment.folder, base, lock, torch_lock):
        _take_step(step)
    if environment.blender:
        _check_blender(environment)
    if environment.sees is not None:
        path = os.path.relpath(environment.sees.site_packages, environment.site_packages)
        (environment.site_packages / "backflip.pth").write_text(f"{path}\n", encoding="utf-8")
    (environment.folder / STAMP_NAME).write_text(json.dumps({"stamp": stamp}, indent=1), encoding="utf-8")
    return environment.interpreter


def _stamp(environment: Environment) -> str:
    try:
        return str(json.loads((environment.folder / STAMP_NAME).read_text(encoding="utf-8"))["stamp"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _need_disk(gigabytes: float) -> None:
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < gigabytes:
        raise BuildError(f"This needs {gigabytes:.1f} GB of disk and {ROOT} has {free:.1f} GB left; free some first.")


def _take_step(step: packages.Step) -> None:
    """Run one step of an installation. Raises BuildError."""
    begin = time.monotonic()
    code, log = _run_quietly(step)
    while code and step.fallback and packages.found_no_file(log):
        step = step.fallback
        code, log = _run_quietly(step)
    if code:
        print(log[-3000:], file=sys.stderr)
        if not step.otherwise:
            raise BuildError(packages.failure_words(log))
    say(f"  {step.otherwise if code else step.words} ({time.monotonic() - begin:.0f} s)")


def _run_quietly(step: packages.Step) -> tuple[int, str]:
    """Run a step's command; on a terminal its last line shows. Returns the exit code and all output."""
    lines: list[str] = []
    environment = isolation.clean_environment() | dict(step.variables)
    with subprocess.Popen(
        step.command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
        cwd=isolation.safe_folder(step.command[0]),
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            told = last_told(line)
            _show_passing(f"  {told.in_words() if told else packages.with_pip_line(step.words, line)}")
    _show_passing("")
    return process.returncode, "".join(lines)


def _check_blender(environment: Environment) -> None:
    """Raises BuildError when Blender's module cannot be imported."""
    command = packages.isolated(str(environment.interpreter), str(ROOT / ".ci" / "check_blender.py"))
    code, told = _run_quietly(packages.Step("Starting Blender", command, 1.0))
    last = [line for line in told.splitlines() if line.strip()][-1:] or ["Blender's module ended without a word."]
    if code:
        raise BuildError(last[0])
    say(f"  {last[0]}")


def _trainer(options: argparse.Namespace) -> Path:
    """The interpreter that trains, with PyBullet or, where that is asked, without."""
    python = make_environment(MAIN)
    return without_pybullet(MAIN) if options.without_pybullet else python


def without_pybullet(environment: Environment) -> Path:
    """The interpreter of a copy (of hard links) without PyBullet: as on the systems that have no wheels of it."""
    copy = dataclasses.replace(environment, name=f"{environment.name}-without-pybullet")
    if _stamp(copy) != _stamp(environment):
        say(f"Making {copy.folder.name}")
        shutil.rmtree(copy.folder, ignore_errors=True)
        left_out = shutil.ignore_patterns("pybullet*", STAMP_NAME)
        shutil.copytree(environment.folder, copy.folder, symlinks=True, ignore=left_out, copy_function=os.link)
        shutil.copyfile(environment.folder / STAMP_NAME, copy.folder / STAMP_NAME)
    return copy.interpreter


# The zip


def load_file(name: str) -> ModuleType:
    """A file of .ci/, which a name cannot import."""
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    if spec is None or spec.loader is None:
        raise BuildError(f"The file .ci/{name}.py is missing from this copy of the repository.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def command_zip(options: argparse.Namespace) -> int:
    """Validate the manifest and write dist's zip, with the standard library alone."""
    build_zip = load_file("build_zip")
    try:
        zip_file = build_zip.make_zip(ROOT, ROOT / "dist")
    except build_zip.ZipError as error:
        raise BuildError(str(error)) from error
    say(f"Wrote {zip_file.relative_to(ROOT)} ({zip_file.stat().st_size / 1e3:.0f} kB)")
    return 0


# The demo


def command_demo(options: argparse.Namespace) -> int:
    """Walk the whole road without a window."""
    python = _trainer(options)
    command = [str(python), "-m", "backflip_addon.headless.demo", "--out", str(options.out), "--clip", options.clip]
    command += ["--minutes", str(options.minutes), "--seed", str(options.seed)]
    with _blender_variables() as variables:
        return _run_through(command, variables | {"BACKFLIP_PYTHON": str(python)})


# Style and types


def command_lint(options: argparse.Namespace) -> int:
    """ruff's checks and its format; the exit status is 0 when nothing is to be mended."""
    python = make_environment(MAIN)
    if options.fix:
        return _ruff(python, "check", "--fix") | _ruff(python, "format")
    return _check_style(python)


def _check_style(python: Path) -> int:
    return _ruff(python, "check") | _ruff(python, "format", "--check")


def _ruff(python: Path, *command: str) -> int:
    return _run_through([str(python), "-m", "ruff", *command, "--quiet", "."], _own_variables())


def command_types(options: argparse.Namespace) -> int:
    """mypy, as pyproject.toml sets it up."""
    make_environment(MAIN)
    return _check_types()


def _check_types() -> int:
    return _run_through([str(make_environment(TYPES)), "-m", "mypy"], _own_variables())


# The tests


def command_test(options: argparse.Namespace) -> int:
    """What needs Blender on every Blender, processes on every Python, the rest once, three runs at once; 0: green."""
    begin = time.monotonic()
    main = _trainer(options)
    codes, closing = list[int](), list[str]()
    runs: list[tuple[str, Future[tuple[int, str]]]] = []
    with ThreadPoolExecutor(RUNS_AT_ONCE) as lanes:
        compiled = lanes.submit(_take_step, packages.compile_step(str(main)))  # once, not in each test
        for environment in (MAIN, *OTHERS):
            try:
                python = main if environment is MAIN else make_environment(environment)
            except BuildError as error:
                if pythons.find_python(environment.python, (sys.executable,), with_venv=True):
                    codes.append(1)
                closing.append(f"Blender {environment.blender}: left out. {error}")
                continue
            for arguments in [options.arguments] if options.arguments else environment.runs:
                name = " ".join([f"Blender {environment.blender}", *arguments])
                runs.append((name, lanes.submit(_run_pytest, python, main, list(arguments), compiled)))
        say("The tests run, three runs at a time; what they say is shown when they are through")
        style = _check_style(main)
        types, words = (0, "Types: not asked for") if options.arguments else _types_told()
        codes += [style, types]
        closing += [f"Style: {'faults, see above' if style else 'clean'}", words]
        for name, run in runs:
            code, output = run.result()
            say(f"\nTested: {name}\n{output}")
            codes.append(code)
            closing.append(f"{name}: {_closing_line(code, output)}")
    say(f"\nAll in {(time.monotonic() - begin) / 60:.1f} minutes")
    for line in closing:
        say(line)
    return 1 if any(codes) else 0


def _types_told() -> tuple[int, str]:
    """Whether the types hold, and a line on it; an environment that cannot be made is a fault."""
    try:
        code = _check_types()
    except BuildError as error:
        return 1, f"Types: not held. {error}"
    return code, f"Types: {'faults, see above' if code else 'clean'}"


def _run_pytest(python: Path, trainer: Path, arguments: list[str], compiled: Future[None]) -> tuple[int, str]:
    """Run the tests, once the physics that they need is compiled; returns pytest's exit code and all it said."""
    if tuple(arguments) != PLAIN:
        compiled.result()
    command = [str(python), "-m", "pytest", "-q", "-ra", "--durations=20", "--color=no", *arguments]
    with _blender_variables() as variables:
        variables["BACKFLIP_PYTHON"] = str(trainer)
        lines: list[str] = []
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            for line in process.stdout or ():
                lines.append(line)
                _show_passing(f"  {python.parent.parent.name}: {line.rstrip()}")
    _show_passing("")
    return process.returncode, "".join(lines)


def _closing_line(code: int, output: str) -> str:
    if code < 0 or code > 5:
        return f"the tests broke off with status {code}"
    return next((line.strip() for line in reversed(output.splitlines()) if " in " in line), "nothing was said")


# The locks


def command_lock(options: argparse.Namespace) -> int:
    """Write the files of hashes anew, for all systems, with the pins of pyproject.toml."""
    environments = {e.name: (e.python, e.groups) for e in (MAIN, *OTHERS, TYPES)}
    python = str(MAIN.interpreter if _stamp(MAIN) else make_environment(MAIN))
    command = isolation.python_command(python, str(ROOT / ".ci" / "lock.py"))
    command += ["--environments", json.dumps(environments), *(["--upgrade"] if options.upgrade else [])]
    return _run_through(command, dict(os.environ))


# Common


@contextmanager
def _blender_variables() -> Iterator[dict[str, str]]:
    """Variables for a Blender that knows nothing of the user's preferences and add-ons, and leaves nothing there."""
    with tempfile.TemporaryDirectory(prefix="backflip-", ignore_cleanup_errors=True) as resources:
        yield _own_variables() | {"BLENDER_USER_RESOURCES": resources}


def _own_variables() -> dict[str, str]:
    """This process's variables, for our own programs, without what bends a Python."""
    return {key: value for key, value in os.environ.items() if not key.upper().startswith(("PYTHON", "PIP_"))}


def _run_through(command: list[str], variables: dict[str, str]) -> int:
    """Run a command with its output on the terminal. An interrupt is the command's to handle."""
    with subprocess.Popen(command, cwd=ROOT, env=variables) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def say(line: str) -> None:
    print(line, flush=True)


def _show_passing(line: str) -> None:
    """A line that the next one replaces; on a terminal alone."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        print(f"\r\033[K{line[:width]}", end="", flush=True)


def _newer_python(arguments: list[str]) -> int:
    """Go on with a Python 3.11 of this computer, or say that it needs one."""
    found = pythons.find_python((3, 11))
    if found:
        return subprocess.call([found, os.path.abspath(__file__), *arguments])
    raise BuildError(
        f"build.py needs Python 3.11 or newer and this is {sys.version.split()[0]}; install Python 3.11 "
        "and run: python3.11 build.py"
    )


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.set_defaults(command=command_zip)
    commands = parser.add_subparsers(metavar="demo | test | lint | types | lock")
    demo = commands.add_parser("demo", help="learn a stunt from nothing")
    demo.add_argument("--minutes", type=_minutes, default=10.0, help="learning time at most (10)")
    demo.add_argument("--out", type=lambda text: Path(text).resolve(), default=ROOT / "demo", help="folder (demo)")
    demo.add_argument("--clip", default="standing_backflip", help="a clip by name, or a file (standing_backflip)")
    demo.add_argument("--seed", type=int, default=0, help="another seed, another performance (0)")
    demo.set_defaults(command=command_demo)
    test = commands.add_parser("test", help="run the tests on every Blender")
    for command in (demo, test):
        words = "as on a system that has no wheels of PyBullet"
        command.add_argument("--without-pybullet", action="store_true", help=words)
    test.add_argument("arguments", nargs="*", help="passed on to pytest after --")
    test.set_defaults(command=command_test)
    lint = commands.add_parser("lint", help="hold the code's style")
    lint.add_argument("--fix", action="store_true", help="mend what can be mended, and format")
    lint.set_defaults(command=command_lint)
    commands.add_parser("types", help="hold the types").set_defaults(command=command_types)
    lock = commands.add_parser("lock", help="write the files of package hashes anew")
    lock.add_argument("--upgrade", action="store_true", help="the newest of what pyproject.toml does not pin")
    lock.set_defaults(command=command_lock)
    return parser.parse_args(arguments)


def _minutes(text: str) -> float:
    minutes = float(text)
    if not 0.0 < minutes < 60.0 * 24 * 30:
        raise argparse.ArgumentTypeError(f"{text} is not a time to learn in")
    return minutes


def main(arguments: list[str]) -> int:
    """Run a command; returns the exit status."""
    try:
        if sys.version_info[:2] < pins.PYTHONS[0]:
            return _newer_python(arguments)
        options = _parse(arguments)
        return int(options.command(options))
    except BuildError as error:
        print(f"\nbuild.py: {error}", file=sys.stderr)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        print(f"\nbuild.py: {error.strerror or error}{where}.", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nbuild.py: interrupted.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
