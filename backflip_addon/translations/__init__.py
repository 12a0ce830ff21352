# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sidebar says in other languages, by the names that Blender has for them.

words.json holds "labels" (of panels, buttons and fields: these must fit), "sentences" (tooltips, and what panels say),
and "parts", of which wording.py puts together what became of a take: each by the English that stands in the code, in
each of LANGUAGES. What Blender itself has a word for is said with that word.
"""

from __future__ import annotations

import json
from pathlib import Path

import bpy

from ..registration import CONTEXT

FILE = Path(__file__).parent / "words.json"
LANGUAGES = ("de_DE", "ja_JP")
_CONTEXTS = ("*", "Operator", CONTEXT)  # of fields, of buttons, and of panels

Messages = dict[tuple[str, str], str]  # (context, English) -> translated, as Blender takes them


def words(language: str) -> dict[str, dict[str, str]]:
    """The "labels", "sentences" and "parts" of a language, by their English."""
    found: dict[str, dict[str, list[str]]] = json.loads(FILE.read_text(encoding="utf-8"))
    which = LANGUAGES.index(language)
    return {part: {english: said[which] for english, said in own.items()} for part, own in found.items()}


def messages(language: str) -> Messages:
    """All that is translated into a language."""
    parts = words(language).values()
    return {(context, english): said for part in parts for english, said in part.items() for context in _CONTEXTS}


def register() -> None:
    bpy.app.translations.register(__package__, {language: messages(language) for language in LANGUAGES})


def unregister() -> None:
    bpy.app.translations.unregister(__package__)
