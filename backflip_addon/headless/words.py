# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the command line and their options; run() is what Blender's --command and Python's -m call.

Exit status: 0 done; 1 failed, with a sentence; 2 used wrongly; 3 ran, but nothing landed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..core import verdict
from ..operators.base import USER_ERRORS
from ..scene.film import render
from ..settings import BackflipDirection, BackflipSettings
from . import job_words, pictures, takes, training
from .console import (
    FAILED,
    STATES,
    WRONG_USE,
    Console,
    HeadlessError,
    WrongUse,
    check_writable,
    printable,
    terminated_as_interrupted,
    write_report,
)
from .options import add_options, properties_of, settings_of
from .scene_file import sentence_of

PROGRAM = "backflip"
STATUSES = "Exit status: 0 done; 1 failed; 2 used wrongly; 3 ran, but nothing landed."

Word = Callable[[argparse.Namespace, Console], tuple[int, dict[str, Any]]]


class _Parser(argparse.ArgumentParser):
    """A parser that raises WrongUse, with the word's name, and does not end the process."""

    def error(self, message: str) -> NoReturn:
        raise WrongUse(f"{self.prog}: {message}. See {self.prog} --help.")


def run(arguments: Sequence[str]) -> int:
    """Do what the words say; returns the exit status. Nothing is raised."""
    report_file = _report_file(arguments)
    code = FAILED
    report: dict[str, Any] = {"word": arguments[0] if arguments else ""}
    console = Console("json" in _values(arguments, "--progress"))
    try:
        with terminated_as_interrupted():
            options = parser().parse_args(arguments)
            _check_outputs(options, report_file)
            found: dict[str, Any]
            code, found = options.run(options, console)
            report |= found
    except SystemExit:  # --help
        return 0
    except WrongUse as error:
        code, report["error"] = WRONG_USE, str(error)
    except (HeadlessError, *USER_ERRORS) as error:
        code, report["error"] = FAILED, sentence_of(error) if "\n" not in str(error) else str(error)
    except KeyboardInterrupt:
        code, report["error"] = FAILED, "Interrupted."
    except (OSError, RuntimeError, ValueError, MemoryError) as error:
        code, report["error"] = FAILED, sentence_of(error)
    report |= {"status": STATES[code], "exit": code}
    if report_file is not None:
        try:
            write_report(report_file, report)
        except HeadlessError as error:
            code, report["error"] = code or FAILED, report.get("error", str(error))
    if "error" in report:
        if console.as_json:
            console.say(report["error"], exit=code)
        told = printable(str(report["error"]))
        print(told if told.startswith(PROGRAM) else f"{PROGRAM}: {told}", file=sys.stderr, flush=True)
    return code


def _values(arguments: Sequence[str], name: str) -> list[str]:
    """The values that an option is given, looked for before the rest is understood: wrong use is told in them too."""
    found = [part.partition("=")[2] for part in arguments if part.startswith(f"{name}=")]
    found += [arguments[i + 1] for i, part in enumerate(arguments[:-1]) if part == name]
    return found


def _report_file(arguments: Sequence[str]) -> Path | None:
    named = [value for value in _values(arguments, "--json") if value]
    with contextlib.suppress(OSError):
        return Path(os.path.abspath(named[-1])) if named else None
    return None


def _check_outputs(options: argparse.Namespace, report_file: Path | None) -> None:
    """Raises WrongUse where a file cannot be written that a word would write at its end."""
    if report_file is not None:
        check_writable("--json", report_file, stream=True)
    for name in ("sheet", "save_as"):
        if file := getattr(options, name, ""):
            check_writable(f"--{name.replace('_', '-')}", Path(file).resolve())


def parser() -> argparse.ArgumentParser:
    """All words with all their options."""
    top = _Parser(prog=PROGRAM, description="Characters that learn stunts, without a window.", epilog=STATUSES)
    words = top.add_subparsers(metavar="WORD", required=True, dest="word", parser_class=_Parser)
    train = _word(words, "train", "have a character learn a clip, and wait for it", training.train)
    _on_blend(train)
    _may_save(train, "with the character's body, the clip, and the link to the job")
    _train_options(train)
    add_options(train.add_argument_group("settings of the panels"), settings_of(BackflipSettings, "train"))
    shoot = _word(words, "shoot", "record takes of what a character has learned, as directed", takes.shoot)
    _on_blend(shoot, with_job=True)
    shoot.add_argument("--preset", default="", metavar="NAME", help="begin with this preset of the Shoot panel")
    add_options(shoot.add_argument_group("settings of the panels"), list(properties_of(BackflipDirection)))
    bake = _word(words, "bake", "make keyframes of a take, and save the .blend", takes.bake)
    _on_blend(bake, with_job=True)
    _may_save(bake, "in its place; it is anyway unless --save-as names another")
    bake.add_argument("--take", default="", metavar="NAME", help="name or path of a take; the best when left out")
    bake.add_argument("--name", default="", help="name of the new action")
    add_options(bake.add_argument_group("settings of the panels"), settings_of(BackflipSettings, "bake"))
    export = _word(words, "export", "write a baked take for another program", pictures.export)
    _on_blend(export)
    _of_track(export)
    add_options(export.add_argument_group("settings of the panels"), settings_of(BackflipSettings, "export"))
    film = _word(words, "film", "render a baked take as a movie", pictures.film)
    _on_blend(film)
    _of_track(film)
    _may_save(film, "with the set and camera of the film")
    film.add_argument("--sheet", default="", metavar="FILE", help="write a sheet of its moments too, a PNG")
    film.add_argument("--size", type=_size, default=render.SIZE, metavar="WxH", help="pixels (640x360)")
    film.add_argument("--own-set", action="store_true", help="the scene's own camera and light, not Backflip's")
    status = _word(words, "status", "how the latest job of a .blend, or a job folder, is doing", job_words.status)
    status.add_argument("target", metavar="BLEND|FOLDER", help="a .blend, or a job's folder")
    jobs = _word(words, "jobs", "list jobs", job_words.jobs)
    jobs.add_argument("targets", nargs="+", metavar="BLEND|FOLDER", help="a .blend, a job's folder, or one of jobs")
    batch = _word(words, "batch", "train many prepared jobs, here or on a Ray cluster", job_words.batch)
    batch.add_argument("targets", nargs="+", metavar="FOLDER", help="a job, or a folder of jobs")
    batch.add_argument("--cluster", default="", metavar="ADDRESS", help="a Ray cluster's; this computer when left out")
    batch.add_argument("--cores", type=_count, default=1, metavar="N", help="for a job that asks for every core (1)")
    for each in (status, jobs):
        each.add_argument("--character", default="", metavar="NAME", help="of this character alone")
    return top


def _word(words: Any, name: str, about: str, work: Word) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = words.add_parser(
        name, help=about, description=f"{about[0].upper()}{about[1:]}.", epilog=STATUSES, allow_abbrev=False
    )
    made.set_defaults(run=work)
    made.add_argument("--json", default="", metavar="FILE", help="write a report there, errors with their sentence")
    made.add_argument("--progress", choices=("text", "json"), default="text", help="lines, or JSON lines (text)")
    return made


def _on_blend(word: argparse.ArgumentParser, with_job: bool = False) -> None:
    word.add_argument("blend", metavar="BLEND", help="the .blend file")
    word.add_argument("--character", default="", metavar="NAME", help="its armature, by the object's name")
    word.add_argument("--scene", default="", metavar="NAME", help="the scene (the one that was open)")
    word.add_argument("--dry-run", action="store_true", help="say what would be done and what is missing")
    if with_job:
        word.add_argument("--job", default="", metavar="FOLDER", help="the job; the character's latest when left out")


def _may_save(word: argparse.ArgumentParser, what: str) -> None:
    word.add_argument("--save", action="store_true", help=f"save the .blend {what}")
    word.add_argument("--save-as", default="", metavar="FILE", help="save it there, and leave the .blend as it is")


def _of_track(word: argparse.ArgumentParser) -> None:
    word.add_argument("--track", default="", metavar="NAME", help="which baked take; the one that plays when left out")
    word.add_argument("--out", default="", metavar="FILE", help="the file to write; beside the .blend when left out")


def _train_options(word: argparse.ArgumentParser) -> None:
    word.add_argument(
        "--job", default="", metavar="FOLDER", help="where to keep the job; one that is there already is gone on with"
    )
    word.add_argument("--prepare", action="store_true", help="write the job alone, to be trained on another computer")
    word.add_argument(
        "--cluster", default="", metavar="ADDRESS", help="a Ray cluster's, or local (the README has more)"
    )
    word.add_argument("--bone-map", default="", metavar="FILE", help="the character's bone map, as Save Map writes it")
    word.add_argument("--clip", default="", metavar="FILE", help="the clip to learn; the .blend's when left out")
    word.add_argument("--clip-character", default="", metavar="NAME", help="which armature of a clip with several")
    word.add_argument("--clip-action", default="", metavar="NAME", help="which action of a clip with several")
    word.add_argument("--clip-map", default="", metavar="FILE", help="bone map of the clip's own skeleton")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of 1 or more")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and 16 <= int(width) <= 8192 and 16 <= int(height) <= 8192):
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 640x360")
    return int(width), int(height)


def said_of(report: dict[str, Any]) -> list[str]:
    """The figures of a baked take, a line each."""
    lines = [f"  {figure.label:<22}{figure.text}{'  (!)' if figure.flaw else ''}" for figure in verdict.figures(report)]
    distance, error = report["g_mpjpe_mm"] / 10, report["bake_error_mm"]
    return [*lines, f"  {'From the clip':<22}{distance:.0f} cm, the baked rig {error:.2g} mm"]
