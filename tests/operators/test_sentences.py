# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user reads, in the sidebar and of what goes on behind it: plain words, no sentence too long to read.

`python -m tests.operators.test_sentences` prints all of it, to be read aloud.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

import backflip_addon  # noqa: E402
from backflip_addon import preferences  # noqa: E402

PACKAGE = Path(backflip_addon.__file__).parent
LONGEST = 90  # letters of a sentence that a panel shows
# The trade's words, and foreign ones
WORDS = r"polic(y|ies)|search|seeds?|processes|replan\w*|stages?|jobs?|attempts?|tries|shall learn|go on training"
FORBIDDEN = re.compile(rf"\b({WORDS})\b", re.IGNORECASE)
# What the panels show under Advanced alone, or scripts alone set
ADVANCED_PROPERTIES = {"mode", "seed", "workers", "engine", "stage", "stop_when_landed", "job_folder", "blocking"}
ADVANCED_OPERATORS = {"checkpoint", "find_job", "wait_job", "shoot_more", "choose_stage"}
ADVANCED_FUNCTIONS = {"_draw_advanced", "_draw_stage", "_origin", "BACKFLIP_MT_stages"}
ADVANCED_FUNCTIONS |= {"ChooseStage", "Checkpoint", "FindJob", "ShootMore", "_check_stage"}
# Rooms whose errors, notes and progress reach a panel; and what in them is a program's own or a command line's
ROOMS = ("ui", "operators", "core", "scene", "jobs", "runtime", "trainer", "preferences.py")
COMMAND_LINES = {"batch.py", "__main__.py"}
NO_SENTENCES = {"_PROBE", "_PROGRAM", "_UNREACHED", "_NOTICE", "logger", "_log"}
PATTERN = re.compile(r"\w\|\w|[\[(?]:|\\\[")  # a regular expression


def classes() -> list[Any]:
    from backflip_addon import operators, ui

    return [*operators._classes(), *ui._classes()]


def shown_in_rna() -> Iterator[tuple[str, str]]:
    """Where, and what: labels and tooltips of buttons and fields, as Blender has them."""
    for cls in classes():
        name = str(getattr(cls, "bl_idname", "") or cls.__name__).removeprefix("backflip.")
        if name in ADVANCED_OPERATORS or cls.__name__ in ADVANCED_FUNCTIONS:
            continue
        yield cls.__name__, str(getattr(cls, "bl_label", ""))
        if issubclass(cls, bpy.types.Operator):
            yield cls.__name__, str(cls.__doc__ or "")
    groups = [bpy.types.Scene.bl_rna.properties["backflip"].fixed_type, preferences.BackflipPreferences.bl_rna]
    for group in groups:
        for prop in group.properties:
            hidden = prop.is_hidden or prop.identifier in ADVANCED_PROPERTIES
            if prop.identifier in ("rna_type", "name") or hidden:
                continue
            yield prop.identifier, prop.name
            yield prop.identifier, prop.description
            if prop.type == "ENUM":
                yield from ((prop.identifier, item.name) for item in prop.enum_items_static)
            if prop.type == "POINTER" and prop.fixed_type.identifier.startswith("Backflip"):
                groups.append(prop.fixed_type)


def shown_by_code(any_text: bool = False) -> Iterator[tuple[str, str]]:
    """Where, and what: the texts that the code of all those rooms holds. any_text: single words as well."""
    for room in ROOMS:
        for file in [PACKAGE / room] if room.endswith(".py") else sorted((PACKAGE / room).rglob("*.py")):
            if file.name not in COMMAND_LINES:
                where = file.relative_to(PACKAGE).as_posix()
                source = ast.parse(file.read_text(encoding="utf-8"))
                yield from _texts(source, where)
                if any_text:
                    constants = (node.value for node in ast.walk(source) if isinstance(node, ast.Constant))
                    yield from ((where, text) for text in constants if isinstance(text, str))


def _texts(node: ast.AST, where: str) -> Iterator[tuple[str, str]]:
    for child in ast.iter_child_nodes(node):
        if getattr(child, "name", "") in ADVANCED_FUNCTIONS or _is_none_for_users(child):
            continue
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue  # a docstring
        if isinstance(child, ast.JoinedStr):  # whole, with a short stand-in for what it is filled with
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "12" for part in child.values)
            if re.search(r"[A-Za-z]\w* \w", text):
                yield where, text
            for part in child.values:
                yield from () if isinstance(part, ast.Constant) else _texts(part, where)
            continue
        text = child.value if isinstance(child, ast.Constant) and isinstance(child.value, str) else ""
        if re.search(r"[A-Za-z]\w* \w", text) and not PATTERN.search(text):
            yield where, text
        yield from _texts(child, where)


def _is_none_for_users(node: ast.AST) -> bool:
    """Whether it is what a log is told, or the text of a program or a pattern."""
    names = [getattr(target, "id", "") for target in getattr(node, "targets", ())]
    called = node.func if isinstance(node, ast.Call) else None
    owner = called.value if isinstance(called, ast.Attribute) else None
    return bool(NO_SENTENCES & {*names, getattr(owner, "id", "")})


def sentences() -> list[tuple[str, str]]:
    """All that is shown, a sentence each."""
    shown = [*shown_in_rna(), *shown_by_code()]
    return [(where, part) for where, text in shown for part in re.split(r"(?<=[.:!?;])\s+", text) if part]


def test_what_is_said_is_plain_and_short(ops: Any) -> None:
    found = sentences()
    rooms = {where.split("/")[0] for where, _text in found}
    assert len(found) > 1500 and rooms >= set(ROOMS)
    trade = [f"{where}: {text}" for where, text in found if FORBIDDEN.search(text)]
    assert not trade, "\n".join(trade)
    long = [f"{where}: {len(text)} letters: {text}" for where, text in found if len(text) > LONGEST]
    assert not long, "\n".join(long)


if __name__ == "__main__":
    backflip_addon.register()
    print("\n".join(f"{where}: {text}" for where, text in sentences()))
