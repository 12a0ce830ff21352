# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user reads in the sidebar: plain words, and no sentence too long to read.

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
    groups = [bpy.types.Scene.bl_rna.properties["backflip"].fixed_type]
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


def shown_by_panels() -> Iterator[tuple[str, str]]:
    """Where, and what: the texts that the panels' code holds."""
    for file in sorted([*(PACKAGE / "ui").glob("*.py"), *(PACKAGE / "operators").glob("*.py")]):
        yield from _texts(ast.parse(file.read_text(encoding="utf-8")), file.name)


def _texts(node: ast.AST, where: str) -> Iterator[tuple[str, str]]:
    for child in ast.iter_child_nodes(node):
        if getattr(child, "name", "") in ADVANCED_FUNCTIONS:
            continue
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue  # a docstring
        if (
            isinstance(child, ast.Constant)
            and isinstance(child.value, str)
            and re.search(r"[A-Za-z]\w* \w", child.value)
        ):
            yield where, child.value
        yield from _texts(child, where)


def sentences() -> list[tuple[str, str]]:
    """All that is shown, a sentence each."""
    shown = [*shown_in_rna(), *shown_by_panels()]
    return [(where, part) for where, text in shown for part in re.split(r"(?<=[.:!?;])\s+", text) if part]


def test_what_the_sidebar_says_is_plain_and_short(ops: Any) -> None:
    found = sentences()
    assert len(found) > 300
    trade = [f"{where}: {text}" for where, text in found if FORBIDDEN.search(text)]
    assert not trade, "\n".join(trade)
    long = [f"{where}: {len(text)} letters: {text}" for where, text in found if len(text) > LONGEST]
    assert not long, "\n".join(long)


if __name__ == "__main__":
    backflip_addon.register()
    print("\n".join(f"{where}: {text}" for where, text in sentences()))
