# SPDX-License-Identifier: GPL-3.0-or-later
"""Other languages: what is translated is said somewhere, labels fit their buttons, and none is left out."""

from __future__ import annotations

import ast
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon import translations, wording  # noqa: E402
from backflip_addon.core import outcome  # noqa: E402
from backflip_addon.core.direction import PRESETS, Direction  # noqa: E402
from backflip_addon.core.measures import parts_down  # noqa: E402
from backflip_addon.core.verdict import verdict  # noqa: E402
from backflip_addon.registration import CONTEXT  # noqa: E402
from backflip_addon.ui import corner, panel_base  # noqa: E402
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
    assert not [english for part in ("labels", "sentences") for english in words[part] if english not in said]
    assert words.keys() == {"labels", "sentences", "parts"} and all(all(part.values()) for part in words.values())
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


def test_our_word_wins_where_blender_means_another_thing(ops: Any) -> None:
    for language, directing, centre in (("de_DE", "Regie", "Schwerpunkt"), ("ja_JP", "演出", "重心")):
        said = translations.messages(language)
        assert (said[CONTEXT, "Direction"], said[CONTEXT, "Center of Mass"]) == (directing, centre)
    panels = [cls for cls in sentences.classes() if issubclass(cls, panel_base.SidebarPanel)]
    assert len(panels) > 10 and all(cls.bl_rna.translation_context == CONTEXT for cls in panels)
    assert bpy.context.scene.backflip.road.bl_rna.properties["path"].translation_context == CONTEXT


def test_the_legend_is_said_in_our_words(ops: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(corner, "translated", lambda text, context="*": f"{text} in {context}")
    monkeypatch.setattr(corner.line_legend, "entries", lambda _scene: [("Center of Mass", "path")])
    monkeypatch.setattr(corner, "draw_legend", lambda lines, *_rest: shown.extend(lines))
    corner.draw(bpy.context.scene, None, 1.0)
    assert shown == [(f"Center of Mass in {CONTEXT}", "path")]


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


LANDED = {"landed": True, "stands_3_s": True, "steps": 0, "hops": 0, "robust_of_20": 18}
KINDS = [value for name, value in vars(outcome).items() if name.isupper() and isinstance(value, str)]
PARTS = [*dict.fromkeys(parts_down.PARTS.values()), "back", "chest", "seat", "side", ""]
ALL_ASKED = Direction(
    push_impulse=(0.0, 30.0, 0.0), push_at=0.25, friction=0.02, slope_deg=12.5, gravity=1.62, mass=0.8, strength=0.6
)
MORE_ASKED = Direction(
    friction=3.0, mass=1.5, strength=1.5, fatigue=0.25, clumsiness=0.1, delay=0.15, drunk=0.5, start_noise=2.0
)
FALLS = [Direction(tone=0.0, reflex=False, falls_at=0.5), Direction(tone=1.0), Direction(part_mass={"shin.L": 4.0})]


def verdicts() -> set[str]:
    """All that can become of a take, with one number or another."""
    flaws = {"hops": 2, "steps": 3, "slide_cm": 9.0, "self_penetration_cm": 3.0, "limit_excess_deg": 9.0}
    flaws |= {"penetration_cm": 4.0, "robust_of_20": 3}
    flaws |= {"flight_parabola_cm": 12.0, "flight_momentum_change": 0.6, "shake": 91.0}
    found = [LANDED | {name: value} for name, value in flaws.items()]
    found += [LANDED | {"hops": 1}, LANDED | {"landed_cleanly": True}, LANDED]
    for steps, hops in ((1, 0), (2, 1), (0, 2), (0, 0)):
        found.append(LANDED | {"outcome": outcome.STUMBLED, "steps": steps, "hops": hops})
    found += [{"success": True}, {"followed": 0.63}, {"followed": 1.0, "stands_3_s": False}]
    found += [{"followed": 1.0, "landed": False}, {"followed": 1.0}]
    for kind in KINDS:
        for part in PARTS:
            for degrees in (-45.0, 0.0, 60.0):
                facts = {"outcome": kind, "outcome_part": part, "outcome_at": 1.42, "outcome_degrees": degrees}
                found.append({"landed": False} | facts)
                if part and degrees == 0.0:
                    too = {"outcome_too": kind, "outcome_part_too": part}
                    fall = {"outcome": outcome.FELL_SIDEWAYS, "outcome_part": "head" if part != "head" else "back"}
                    found.append({"landed": False} | facts | fall | too)
    return {words for facts in found if (words := verdict(facts))}


def directions() -> set[str]:
    """All that can be asked of a shot."""
    return {asked.words() for asked in (*PRESETS.values(), ALL_ASKED, MORE_ASKED, *FALLS)}


@pytest.mark.parametrize("language", translations.LANGUAGES)
def test_what_became_of_a_take_is_said_in_other_languages(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    parts, used = translations.words(language)["parts"], set()

    def translated(english: str) -> str:
        used.update({english} & parts.keys())
        return parts.get(english, english)

    monkeypatch.setattr(wording, "translated", translated)
    said = {words: wording.in_parts(words) for words in (*verdicts(), *directions())}
    assert len(said) > 120
    left = [f"{words}: {other}" for words, other in said.items() if left_english(words, other)]
    assert not left, "\n".join(left)
    assert not parts.keys() - used, "nobody says these"
    for english, other in parts.items():
        assert english.count("{}") == other.count("{}"), english


def left_english(words: str, other: str) -> set[str]:
    """Words of a text that stand in the other one too, but for those that are German as well, and names of links."""
    same = {"clip", "start", "reflex", "chest", "shin"}
    plain = set(re.findall(r"[A-Za-z]{3,}", words.lower())) - same
    return plain & set(re.findall(r"[A-Za-z]{3,}", other.lower()))


def test_titles_are_put_together_of_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = translations.words("de_DE")["parts"]
    monkeypatch.setattr(wording, "translated", lambda english: parts.get(english, english))
    said = wording.in_parts("Landed but stumbled, 2 steps and a hop")
    assert said == "Gelandet, aber gestolpert, 2 Schritte und ein Hüpfer"
    assert wording.in_parts("Under-rotated by 45°, on its knees at 1.42 s") == (
        "45° zu wenig gedreht, auf den Knien bei 1.42 s"
    )
    assert wording.in_parts("pushed 30 N s at 0.25 s, slippery 0.1") == "gestoßen 30 N s bei 0.25 s, rutschig 0.1"
    assert wording.in_parts("a stranger's {0.__class__}: {}") == "a stranger's {0.__class__}: {}"
