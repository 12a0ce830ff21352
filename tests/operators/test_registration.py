# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties are written with a type, and Blender knows every one of them."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

import backflip_addon  # noqa: E402
from backflip_addon import operators, preferences, settings  # noqa: E402

PACKAGE = Path(backflip_addon.__file__).parent


def test_every_property_has_a_type() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            bare = isinstance(node, ast.AnnAssign) and isinstance(node.annotation, ast.Call)
            assert not bare, f"{path.name}:{node.lineno} is no Annotated[type, property]"


def test_blender_knows_every_property(ops: Any) -> None:
    for cls in (*settings.CLASSES, *operators._classes(), preferences.BackflipPreferences):
        if issubclass(cls, bpy.types.Operator):
            known = getattr(ops, cls.bl_idname.partition(".")[2]).get_rna_type().properties
        else:
            known = cls.bl_rna.properties
        written = [name for part in cls.__mro__ for name in properties_of(part)]
        assert set(written) <= set(known.keys()), cls.__name__


def properties_of(cls: type) -> list[str]:
    """The names of a class of ours that are annotated, but for what concerns the class itself."""
    if not cls.__module__.startswith("backflip_addon"):
        return []
    own = cls.__dict__.get("__annotations__", {})
    return [name for name, annotation in own.items() if not str(annotation).startswith("ClassVar")]
