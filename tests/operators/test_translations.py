# SPDX-License-Identifier: GPL-3.0-or-later
"""Other languages: what is translated is said somewhere, labels fit their buttons, and none is left out."""

from __future__ import annotations

import ast
import unicodedata
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon import translations  # noqa: E402
from tests.operators import test_sentences as sentences  # noqa: E402

# Columns of a button with an icon in a sidebar as wide as Blender makes it, 237 pixels at a resolution scale of 1
BUTTON = 31
UNTRANSLATED = {"blocking", "wait_job"} | sentences.ADVANCED_OPERATORS


def columns(label: str) -> int:
    """How wide a label is, in letters as wide as Latin ones; East Asian ones are as wide as two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in label)


def in_english() -> set[str]:
    """All that is said, whole: in Blender's properties and classes, and in the code."""
    return {text for _where, text in (*sentences.shown_in_rna(), *sentences.shown_by_code(any_text=True))}


@pytest.mark.parametrize("language", translations.LANGUAGES)
def test_what_is_translated_is_said_somewhere_and_labels_fit(ops: Any, language: str) -> None:
    words = translations.words(language)
    said = in_english()
    assert not [english for part in words.values() for english in part if english not in said]
    assert words.keys() == {"labels", "sentences"} and all(all(part.values()) for part in words.values())
    wide = {label: columns(label) for label in words["labels"].values() if columns(label) > BUTTON}
    assert not wide
    assert {key: part.keys() for key, part in words.items()} == {
        key: part.keys() for key, part in translations.words(translations.LANGUAGES[0]).items()
    }


def test_every_panel_and_button_has_a_label_in_other_languages(ops: Any) -> None:
    known = translations.words("de_DE")["labels"]
    for cls in sentences.classes():
        name = str(getattr(cls, "bl_idname", "") or cls.__name__).removeprefix("backflip.")
        label = getattr(cls, "bl_label", "")
        if label and name not in UNTRANSLATED and cls.__name__ not in sentences.ADVANCED_FUNCTIONS:
            assert label in known or label == "Backflip", f"{name}: {label}"


def test_blender_is_given_labels_of_buttons_and_of_fields() -> None:
    german = translations.messages("de_DE")
    assert german["Operator", "Bake Take"] == german["*", "Bake Take"] == "Take backen"


def words_on_buttons() -> set[str]:
    """What the code of the panels writes on buttons in so many words."""
    found: set[str] = set()
    for file in sorted((Path(translations.__file__).parents[1] / "ui").glob("*.py")):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                continue
            if (place := {"button": 3, "step_button": 4}.get(call.func.id)) is None:
                continue
            texts = [*call.args[place:], *(keyword.value for keyword in call.keywords if keyword.arg == "text")]
            for text in texts:
                branches = (text.body, text.orelse) if isinstance(text, ast.IfExp) else (text,)
                found |= {str(branch.value) for branch in branches if isinstance(branch, ast.Constant) and branch.value}
    return found


@pytest.mark.parametrize("language", translations.LANGUAGES)
def test_words_on_buttons_are_translated(language: str) -> None:
    found = words_on_buttons()
    assert {"Bake This Take", "Show Take"} <= found
    assert not found - translations.words(language)["labels"].keys()
