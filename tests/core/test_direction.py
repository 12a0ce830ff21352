# SPDX-License-Identifier: GPL-3.0-or-later
"""What a director asks of a shot: written and read again, held to bounds, and told in words."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest

from backflip_addon.core.body import LINK_NAMES
from backflip_addon.core.direction import BOUNDS, PRESETS, Direction


def test_a_direction_that_asks_for_nothing_is_empty_and_says_nothing() -> None:
    assert Direction().to_json() == {} and Direction.from_json({}) == Direction() and not Direction().words()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_its_file_names_parts_that_are_there_and_says_what_it_is(name: str) -> None:
    preset = PRESETS[name]
    again = Direction.from_json(json.loads(json.dumps(preset.to_json())))
    assert again.to_json() == preset.to_json() and again.words() == preset.words() != ""
    assert preset.push_link in LINK_NAMES and set(preset.part_mass) <= set(LINK_NAMES)


def test_a_direction_says_what_is_asked_for_in_few_words() -> None:
    asked = Direction(push_impulse=(0.0, 40.0, 0.0), friction=0.2, strength=0.5)
    assert asked.words() == "pushed 40 N s at 0 s, slippery 0.2, weak ×0.5"
    assert PRESETS["Cast on left leg"].words() == "loaded shin.L 4 kg"


@pytest.mark.parametrize("name", [name for name in BOUNDS if name not in ("slope_heading_deg", "clumsiness_time")])
def test_two_takes_of_a_sweep_differ_in_their_words(name: str) -> None:
    push = {"push_impulse": (0.0, 40.0, 0.0)} if name == "push_at" else {}
    values = (0.5, 0.6)
    assert len({Direction(**push, **{name: value}).words() for value in values} - {""}) == len(values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"gravity": 0.0},
        {"gravity": math.nan},
        {"gravity": math.inf},
        {"gravity": "moon"},
        {"friction": -0.1},
        {"slope_deg": 60},
        {"mass": 0},
        {"strength": True},
        {"tone": 1.1},
        {"delay": [0.1]},
        {"reflex": 1},
        {"push_link": ""},
        {"push_link": 3},
        {"push_impulse": [1.0, 2.0]},
        {"push_impulse": [1.0, 2.0, "3"]},
        {"push_impulse": [900.0, 900.0, 0.0]},
        {"push_impulse": 4.0},
        {"part_mass": {"chest": -1}},
        {"part_mass": {"chest": math.nan}},
        {"part_mass": [4.0]},
        {"falls_at": -1.0},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_in_one_sentence(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as caught:
        Direction.from_json(wrong)
    words = str(caught.value)
    assert words[0].isupper() and words.endswith(".") and words.count(". ") == 0 and len(words) < 150


def test_what_is_left_open_may_be_told_as_null_or_nan() -> None:
    for nothing in (None, math.nan):
        assert Direction.from_json({"friction": nothing, "falls_at": nothing}) == Direction()
    assert not Direction().gives_up and Direction(falls_at=0.5).gives_up


def test_what_a_later_version_knows_besides_is_passed_over() -> None:
    assert Direction.from_json({"wind": 7, "gravity": 3.7}) == dataclasses.replace(Direction(), gravity=3.7)
