# SPDX-License-Identifier: GPL-3.0-or-later
"""A take's measures in words: what became of it, and each figure with its unit and its meaning.

Both read values by the names of metrics.Measures, from a take's file, an event or a report; what isn't there, or is
no number, as in takes of older versions, is left out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

from . import metrics, outcome
from .measures.parts_down import PARTS


def verdict(values: Mapping[str, object]) -> str:
    """What became of a take, in a few words: "Landed cleanly", "Landed, with a hop", "Under-rotated by 40°, on its
    knees at 1.42 s"; of a take that does not tell what happened in it: "Followed 63 %"."""
    if values.get("landed") is True and values.get("stands_3_s") is not False:
        if values.get("landed_cleanly") is True:
            return "Landed cleanly"
        if values.get("outcome") == outcome.STUMBLED:
            return f"Landed but stumbled, {_footwork(values)}"
        return ", ".join(["Landed", *[_FLAWS[name](_number(values, name)) for name in metrics.flaws(values)][:1]])
    if values.get("success") is True:
        return "Followed to the end"
    if told := outcome_words(values):
        return told
    followed = _number(values, "followed") if "followed" in values else math.nan
    if followed < 1.0:
        return f"Followed {math.floor(100 * followed)} %"
    if values.get("stands_3_s") is False:
        return "Fell after its end"
    if not math.isfinite(followed):
        return ""
    return "Did not land" if values.get("landed") is False else "Fell"


def outcome_words(values: Mapping[str, object]) -> str:
    """What happened in a take that neither landed nor was followed to its end: how, on what, and when; "" where that
    isn't known. values: by the names of core.outcome.Outcome.facts()."""
    kind, part = str(values.get("outcome")), values.get("outcome_part")
    at, degrees = (_number(values, name) for name in ("outcome_at", "outcome_degrees"))
    when = f" at {at:.2f} s" if math.isfinite(at) else ""
    told = [name for name in (part, values.get("outcome_part_too")) if isinstance(name, str)]
    parts = [name for name in dict.fromkeys(told) if name in _PARTS and name != "feet"]
    on = f"on its {' and its '.join(parts)}" if parts else ""
    turned = ""
    if abs(degrees) > math.degrees(metrics.TURN_TOLERANCE):
        turned = f"{'under' if degrees < 0 else 'over'}-rotated by {abs(degrees):.0f}°"
    if kind in (outcome.UNDER_ROTATED, outcome.OVER_ROTATED) and turned:
        return f"{turned.capitalize()}, {on or 'on its feet'}{when}"
    if kind == outcome.NEVER_LEFT:
        return "Never left the floor" + (f", {on}{when}" if on else "")
    if kind in _FELL:
        too = _FELL.get(str(values.get("outcome_too")), "").removeprefix("Fell ")
        fell = _FELL[kind] + (f" and {too}" if too else "") + (f", {on}{when}" if on else when)
        return fell + (f", {turned}" if turned else "")
    if kind in _ON:
        return f"{on.capitalize() or f'On its {_ON[kind]}'}{when}" + (f", {turned}" if turned else "")
    if kind == outcome.CAME_THROUGH:
        return "Came through, begun in mid-clip"
    if kind == outcome.STUMBLED:
        return "On its feet, but not at rest"
    return f"{_OTHER[kind]}{when}" if kind in _OTHER else ""


_PARTS = {*PARTS.values(), "back", "chest", "seat", "side"}
_FELL = {
    outcome.FELL_FORWARD: "Fell forward",
    outcome.FELL_BACKWARD: "Fell backward",
    outcome.FELL_SIDEWAYS: "Fell sideways",
    outcome.SLUMPED: "Slumped",
}
_ON = {outcome.ON_HEAD: "head", outcome.ON_BACK: "back", outcome.ON_KNEES: "knees", outcome.ON_HANDS: "hands"}
_OTHER = {
    outcome.STRAYED: "Strayed from the clip",
    outcome.EXPLODED: "Exploded, as no body can,",
    outcome.BROKEN_OFF: "Broken off",
    outcome.HELPED: "Helped along",
}


def _footwork(values: Mapping[str, object]) -> str:
    """The steps and hops after a landing, at least one of them."""
    counts = {"step": _number(values, "steps"), "hop": _number(values, "hops")}
    told = [f"a {what}" if count == 1 else f"{count:.0f} {what}s" for what, count in counts.items() if count >= 1]
    return " and ".join(told) or "not at once at rest"


def _hops(count: float) -> str:
    return "with a hop" if count == 1 else f"with {count:.0f} hops"


_FLAWS: dict[str, Callable[[float], str]] = {
    "hops": _hops,
    "steps": lambda count: f"with {count:.0f} steps",
    "slide_cm": lambda cm: f"slid {cm:.0f} cm",
    "self_penetration_cm": lambda cm: f"parts {cm:.0f} cm in one another",
    "limit_excess_deg": lambda degrees: f"a joint {degrees:.0f}° too far",
    "penetration_cm": lambda cm: f"{cm:.0f} cm in the floor",
    "flight_parabola_cm": lambda cm: f"{cm:.0f} cm off its free fall",
    "flight_momentum_change": lambda share: f"its spin changed by {100 * share:.0f} % in the air",
    "shake": lambda _: "shaking",
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
    return {"pybullet": "PyBullet", "compiled": "Backflip's physics"}.get(str(values.get("engine", "")), "")


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
    ("highest_m", "Highest", "{:.2f} m", 1, "How high the center of mass gets above the floor"),
    ("turned_deg", "Turned", "{:.0f}°", 1, "How far the body has turned over when it comes down"),
    ("impact_m_s", "Hardest hit", "{:.1f} m/s", 1, "The greatest speed at which a part of the body hits the floor"),
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
    (
        "flight_parabola_cm",
        "Off its parabola",
        "{:.1f} cm",
        1,
        "How far the center of mass strays from free fall",
    ),
    (
        "flight_momentum_change",
        "Spin made in the air",
        "{:.1f} %",
        100,
        "By how much angular momentum changes in the air, where nothing can change it",
    ),
    ("shake", "Shake", "{:.1f} x the clip's", 1, "How much of the joints' movement is faster than 8 times a second"),
    (
        "robust_of_20",
        "Robust",
        "{:.0f} of 20",
        1,
        "Landings out of 20 takes on slightly different floors, with other weights and starts. Clean: 16",
    ),
)


def _number(values: Mapping[str, object], name: str) -> float:
    """A value as a number; NaN where it is none."""
    value = values.get(name)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
