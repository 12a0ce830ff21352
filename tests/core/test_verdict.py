# SPDX-License-Identifier: GPL-3.0-or-later
"""A take in words: none that flatters."""

from __future__ import annotations

from typing import Any

import pytest

from backflip_addon.core import metrics
from backflip_addon.core.verdict import figures, meaning_of, verdict
from tests.core.made_up_takes import END, TAKE, cut, loaded, measure, touching

CLEAN = {
    "landed": True,
    "landed_cleanly": True,
    "success": True,
    "followed": 1.0,
    "hops": 0,
    "steps": 1,
    "slide_cm": 1.9,
    "self_penetration_cm": 0.9,
    "limit_excess_deg": 1.9,
    "penetration_cm": 0.9,
    "robust_of_20": 16,
}


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "Landed cleanly"),
        ({"landed_cleanly": None, "robust_of_20": None}, "Landed"),
        ({"landed_cleanly": None}, "Landed"),
        ({"landed_cleanly": False, "hops": 1}, "Landed, with a hop"),
        ({"landed_cleanly": False, "hops": 2, "slide_cm": 9.0}, "Landed, with 2 hops"),
        ({"landed_cleanly": False, "steps": 2}, "Landed, with 2 steps"),
        ({"landed_cleanly": False, "slide_cm": 2.0}, "Landed, slid 2 cm"),
        ({"landed_cleanly": False, "self_penetration_cm": 4.2}, "Landed, parts 4 cm in one another"),
        ({"landed_cleanly": False, "limit_excess_deg": 2.6}, "Landed, a joint 3° too far"),
        ({"landed_cleanly": False, "penetration_cm": 1.2}, "Landed, 1 cm in the floor"),
        ({"landed_cleanly": False, "robust_of_20": 15}, "Landed, by luck, 15 of 20"),
        ({"landed": False, "landed_cleanly": False, "success": False, "followed": 0.999}, "Followed 99 %"),
        ({"landed": False, "landed_cleanly": False, "success": False}, "Did not land"),
        ({"landed": False, "success": False, "stands_3_s": False}, "Fell after its end"),
        ({"landed": True, "stands_3_s": False, "success": False}, "Fell after its end"),
        ({"landed": None, "landed_cleanly": None}, "Followed to the end"),
        ({"landed": None, "landed_cleanly": None, "success": False}, "Fell"),
        ({"landed": None, "success": False, "followed": 0.5}, "Followed 50 %"),
    ],
)
def test_words(facts: dict[str, Any], words: str) -> None:
    assert verdict(CLEAN | facts) == words


@pytest.mark.parametrize(
    "values", [{}, {"landed": "yes"}, {"landed": False}, {"followed": None}, {"hops": True}, {"outcome": []}]
)
def test_of_what_is_not_known_nothing_is_said(values: dict[str, Any]) -> None:
    assert verdict(values) == "" and figures(values) == []


def test_an_old_take_that_landed_has_landed() -> None:
    assert verdict({"landed": True, "hops": None, "slide_cm": float("nan")}) == "Landed"


def test_words_of_takes_that_were_measured() -> None:
    assert verdict(measure(TAKE).to_json()) == "Landed"
    assert verdict(measure(touching("head", END)).to_json()) == "Did not land"
    assert verdict(measure(cut(TAKE, END // 2)).to_json()) == "Followed 50 %"


def test_figures_are_those_that_are_known_and_flaws_are_marked() -> None:
    shown = {figure.name: figure for figure in figures(measure(TAKE).to_json() | {"slide_cm": 3.04})}
    assert "slip_cm_s" not in shown and "landing_bw" not in shown and "robust_of_20" not in shown
    assert shown["slide_cm"].text == "3.0 cm" and shown["slide_cm"].flaw and not shown["hops"].flaw
    whole = {figure.name for figure in figures(measure(loaded(TAKE)).to_json() | {metrics.ROBUST: 3})}
    assert {"slip_cm_s", "landing_bw", "robust_of_20"} <= whole
    assert all(figure.meaning and meaning_of(figure.name) == figure.meaning for figure in shown.values())
    assert meaning_of("nothing") == ""
