# SPDX-License-Identifier: GPL-3.0-or-later
"""A take's measures in words: what became of it, and each figure with its unit and its meaning.

Both read values by the names of metrics.Measures, from a take's file, an event or a report; what isn't there, or is
no number, as in takes of older versions, is left out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

from . import metrics


def verdict(values: Mapping[str, object]) -> str:
    """What became of a take, in a few words: "Landed cleanly", "Landed, with a hop", "Followed 63 %"."""
    if values.get("landed") is True and values.get("stands_3_s") is not False:
        if values.get("landed_cleanly") is True:
            return "Landed cleanly"
        return ", ".join(["Landed", *[_FLAWS[name](_number(values, name)) for name in metrics.flaws(values)][:1]])
    if values.get("success") is True:
        return "Followed to the end"
    followed = _number(values, "followed") if "followed" in values else math.nan
    if followed < 1.0:
        return f"Followed {math.floor(100 * followed)} %"
    if values.get("stands_3_s") is False:
        return "Fell after its end"
    if not math.isfinite(followed):
        return ""
    return "Did not land" if values.get("landed") is False else "Fell"


def _hops(count: float) -> str:
    return "with a hop" if count == 1 else f"with {count:.0f} hops"


_FLAWS: dict[str, Callable[[float], str]] = {
    "hops": _hops,
    "steps": lambda count: f"with {count:.0f} steps",
    "slide_cm": lambda cm: f"slid {cm:.0f} cm",
    "self_penetration_cm": lambda cm: f"parts {cm:.0f} cm in one another",
    "limit_excess_deg": lambda degrees: f"a joint {degrees:.0f}° too far",
    "penetration_cm": lambda cm: f"{cm:.0f} cm in the floor",
    "robust_of_20": lambda landings: f"by luck, {landings:.0f} of {metrics.TRIALS}",
}


@dataclasses.dataclass(frozen=True)
class Figure:
    """One measure as it is shown. name: of metrics.Measures; meaning: a sentence; flaw: it keeps a landing unclean."""

    name: str
    label: str
    text: str
    meaning: str
    flaw: bool


def figures(values: Mapping[str, object]) -> list[Figure]:
    """The measures that are known of a take, in the order in which to look at them."""
    flawed = metrics.flaws(values)
    return [
        Figure(name, label, pattern.format(_number(values, name) * factor), meaning, name in flawed)
        for name, label, pattern, factor, meaning in _FIGURES
        if math.isfinite(_number(values, name))
    ]


def meaning_of(name: str) -> str:
    """What the figure of that name says; "" of one that isn't known."""
    return next((meaning for known, _, _, _, meaning in _FIGURES if known == name), "")


def engine_words(values: Mapping[str, object]) -> str:
    """What simulated a take, for its details; "" where that isn't known."""
    return {"pybullet": "PyBullet", "compiled": "Backflip's own"}.get(str(values.get("engine", "")), "")


# Name, label, text of the value times a factor, what it says
_FIGURES: tuple[tuple[str, str, str, float, str], ...] = (
    ("hops", "Hops", "{:.0f}", 1, "How often the body leaves the floor where the clip does not"),
    ("steps", "Steps", "{:.0f}", 1, "How often a foot is put down where the clip does not. One may be to recover"),
    ("slide_cm", "Longest slide", "{:.1f} cm", 1, "How far a planted foot slides at most. Clean: below 2 cm"),
    (
        "slip_cm_s",
        "Slip",
        "{:.1f} cm/s",
        1,
        "Speed of what touches the floor along it, weighted by how hard it presses",
    ),
    ("landing_bw", "Impact", "{:.1f} body weights", 1, "The floor's greatest force over a twentieth of a second"),
    (
        "self_penetration_cm",
        "Parts overlap",
        "{:.1f} cm",
        1,
        "How deep one part of the body is in another at most. Clean: below 1 cm",
    ),
    ("limit_excess_deg", "Past joint limits", "{:.1f}°", 1, "How far a joint bends more than a person's does"),
    ("penetration_cm", "In the floor", "{:.1f} cm", 1, "How deep a part is under the floor at most. Clean: below 1 cm"),
    ("flight_parabola_cm", "Off its parabola", "{:.1f} cm", 1, "How far the centre of mass leaves its way in the air"),
    (
        "flight_momentum_change",
        "Spin made in the air",
        "{:.1f} %",
        100,
        "By how much angular momentum changes in the air, where nothing can change it",
    ),
    ("shake", "Shake", "{:.1f} x the clip's", 1, "How much of the joints' movement is faster than 8 a second"),
    (
        "robust_of_20",
        "Robust",
        "{:.0f} of 20",
        1,
        "Landings of 20 tries on slightly other floors, heavier or lighter, from other starts. Clean: 16",
    ),
)


def _number(values: Mapping[str, object], name: str) -> float:
    """A value as a number; NaN where it is none."""
    value = values.get(name)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
