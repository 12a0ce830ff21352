# SPDX-License-Identifier: GPL-3.0-or-later
"""RNA paths of pose bones' properties, as actions and drivers name them."""

from __future__ import annotations

import bpy


def bone_of(data_path: str) -> str:
    """The pose bone an RNA path is about, "" if none."""
    if not data_path.startswith('pose.bones["'):
        return ""
    name, quote, _rest = data_path[len('pose.bones["') :].partition('"]')
    return bpy.utils.unescape_identifier(name) if quote else ""


def bone_path(bone: str, prop: str) -> str:
    """The RNA path of a pose bone's property."""
    return f'pose.bones["{bpy.utils.escape_identifier(bone)}"].{prop}'
