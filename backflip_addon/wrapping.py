# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences in the user's language, in lines that fit where they are shown: Blender cuts what is longer."""

from __future__ import annotations

import re
import textwrap
import unicodedata

import bpy
from bpy.app.translations import pgettext_iface as translated

_LETTER = 6.6  # pixels that a letter takes at a resolution scale of 1
_FEWEST_LETTERS = 20
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:s|ms|min|mm|cm|m|kg|N|kB|MB|GB|fps|M)\b)")  # where no line is broken
_UNBROKEN = "\u00a0"


def in_lines(context: bpy.types.Context, text: str, beside: float) -> list[str]:
    """A sentence in the lines that fit the region that is drawn; at least one.

    beside: what else stands in a line (icon, margins), pixels at a resolution scale of 1.
    """
    preferences, region = context.preferences, context.region
    if preferences is None or region is None:
        return [translated(text)]
    scale = preferences.system.ui_scale
    letters = max(int((region.width - beside * scale) / (_LETTER * scale)), _FEWEST_LETTERS)
    said = translated(text)
    if any(unicodedata.east_asian_width(letter) in "WF" for letter in said):
        letters //= 2  # such letters are as wide as two
    lines = textwrap.wrap(_BEFORE_UNIT.sub(_UNBROKEN, said), letters, break_on_hyphens=False)
    return [line.replace(_UNBROKEN, " ") for line in lines] or [""]
