# SPDX-License-Identifier: GPL-3.0-or-later
"""What is put together of parts, in the user's language: "Landed, with 2 hops at 1.42 s", "slippery 0.1, weak ×0.6".

Translated is each part, with {} for its numbers: a whole of them would have no end.
"""

from __future__ import annotations

import re

from bpy.app.translations import pgettext_iface as translated

_JOINTS = re.compile(r"(, | and |: )")
_WHEN = re.compile(r" at (\d+(?:\.\d+)? s)$")
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def in_parts(text: str) -> str:
    """A text of parts that stand beside one another, each in the user's language; what has no translation stays."""
    return "".join(_joint(part) if i % 2 else _part(part) for i, part in enumerate(_JOINTS.split(text)))


def _joint(joint: str) -> str:
    return f" {translated('and')} " if joint == " and " else joint


def _part(part: str) -> str:
    when = _WHEN.search(part)
    words = part[: when.start()] if when else part
    pattern, numbers = _NUMBER.sub("{}", words), _NUMBER.findall(words)
    said = _translated(pattern)
    if said != pattern and said.count("{}") == len(numbers):
        words = said.format(*numbers)
    elif words.startswith("loaded "):
        words = translated("loaded") + words.removeprefix("loaded")
    return f"{words} {translated('at')} {when[1]}" if when else words


def _translated(pattern: str) -> str:
    """A part in the user's language, which is known as it stands within a text: its first letter small."""
    said = translated(pattern)
    if said == pattern and pattern[:1].isupper():
        small = pattern[:1].lower() + pattern[1:]
        if (said := translated(small)) == small:
            return pattern
        return said[:1].upper() + said[1:]
    return said
