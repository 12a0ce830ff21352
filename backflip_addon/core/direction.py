# SPDX-License-Identifier: GPL-3.0-or-later
"""What a director asks of a shot: the circumstances in which it is performed, and how its performer falls.

Plain numbers, all of which say "nothing was asked for" by default. Standard library alone: Blender and the trainer
both read them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .constants import FRICTION, GRAVITY

Vector = tuple[float, float, float]

# Least and greatest of each number, and the words for it in a sentence
BOUNDS: Mapping[str, tuple[float, float, str]] = MappingProxyType(
    {
        "push_at": (0.0, 600.0, "the push's time, in seconds,"),
        "friction": (0.0, 10.0, "the floor's friction"),
        "slope_deg": (0.0, 45.0, "the floor's slope, in degrees,"),
        "slope_heading_deg": (-360.0, 360.0, "the slope's heading, in degrees,"),
        "gravity": (0.5, 30.0, "gravity, in m/s²,"),  # Pluto has 0.6, Jupiter 24.8
        "mass": (0.05, 20.0, "the body's weight, as a factor,"),
        "strength": (0.0, 5.0, "strength, as a factor,"),
        "fatigue": (0.0, 2.0, "fatigue, the strength lost a second,"),
        "clumsiness": (0.0, 1.0, "clumsiness, in radians,"),
        "clumsiness_time": (0.02, 5.0, "clumsiness's time, in seconds,"),
        "delay": (0.0, 1.0, "the delay, in seconds,"),
        "drunk": (0.0, 1.0, "drunkenness"),
        "start_noise": (0.0, 5.0, "the start's noise"),
        "tone": (0.0, 1.0, "the tone of the fall"),
        "falls_at": (0.0, 600.0, "when the performer gives up, in seconds,"),
    }
)
MOST_IMPULSE = 1000.0  # N s, of a push: a car at walking pace
MOST_PART_MASS = 200.0  # kg that a part of the body may carry
MOST_PARTS = 200


@dataclasses.dataclass(frozen=True, eq=False)
class Direction:
    """The circumstances of a shot; every default means that nothing is asked for.

    push_at: s since the take's start; push_link: the link of the body that is pushed at its centre of mass (a name of
    core.body.LINK_NAMES); push_impulse: N s, in the simulation's frame, none where it is zero.
    friction: the floor's coefficient; None: the job's own. slope_deg: how far the floor slopes; slope_heading_deg:
    which way is down, 0: the way the character faces (-Y), counterclockwise from above. gravity: m/s².
    mass: factor on all masses. part_mass: kg that links of the body carry besides, at their centres of mass.
    strength: factor on the joints' greatest torques; fatigue: the share of it that is lost a second.
    clumsiness: rad, deviation of a noise on every joint's target; clumsiness_time: s over which it changes.
    delay: s by which reactions come late. drunk: 0 to 1, how far the sense of balance is off.
    start_noise: how much the start is off, as a factor on the usual noise.
    tone: 0: falls limp, 1: fights back to the clip. reflex: hands reach for the floor, the head tucks, knees give.
    falls_at: s at which the performer gives up; NaN: where the attempt is lost.
    """

    push_at: float = 0.0
    push_link: str = "chest"
    push_impulse: Vector = (0.0, 0.0, 0.0)
    friction: float | None = None
    slope_deg: float = 0.0
    slope_heading_deg: float = 0.0
    gravity: float = GRAVITY
    mass: float = 1.0
    part_mass: Mapping[str, float] = dataclasses.field(default_factory=dict)
    strength: float = 1.0
    fatigue: float = 0.0
    clumsiness: float = 0.0
    clumsiness_time: float = 0.3
    delay: float = 0.0
    drunk: float = 0.0
    start_noise: float = 0.0
    tone: float = 0.3
    reflex: bool = True
    falls_at: float = math.nan

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Direction) and self.to_json() == other.to_json()  # in which NaN is like NaN

    def __hash__(self) -> int:
        return hash(repr(self.to_json()))

    @property
    def pushes(self) -> bool:
        """Whether anything is pushed."""
        return any(self.push_impulse)

    @property
    def gives_up(self) -> bool:
        """Whether the performer gives up at a moment that was asked for."""
        return not math.isnan(self.falls_at)

    @property
    def gravity_vector(self) -> Vector:
        """Gravity (3,), m/s², in the floor's frame, in which a shot is simulated: on a slope it leans to where that
        goes down."""
        slope, heading = math.radians(self.slope_deg), math.radians(self.slope_heading_deg)
        along = self.gravity * math.sin(slope)
        return along * math.sin(heading), -along * math.cos(heading), -self.gravity * math.cos(slope)

    def to_json(self) -> dict[str, Any]:
        """What differs from the defaults, ready for JSON."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        asked = {name: value for name, value in plain.items() if not _same(value, getattr(_NOTHING, name))}
        if "push_impulse" in asked:
            asked["push_impulse"] = list(self.push_impulse)
        if "part_mass" in asked:
            asked["part_mass"] = dict(self.part_mass)
        return asked

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Direction:
        """Of a plain object; what is missing, or not known here, is not asked for.

        Raises ValueError, with one sentence, on what makes no sense.
        """
        if not isinstance(data, Mapping):
            raise ValueError("A direction is not a JSON object.")
        values: dict[str, Any] = {name: _bounded(name, data[name]) for name in BOUNDS if _given(data, name)}
        if "reflex" in data:
            if not isinstance(data["reflex"], bool):
                raise ValueError("The fall's reflex is neither true nor false.")
            values["reflex"] = data["reflex"]
        if "push_link" in data:
            values["push_link"] = _name(data["push_link"])
        if "push_impulse" in data:
            values["push_impulse"] = _impulse(data["push_impulse"])
        if "part_mass" in data:
            values["part_mass"] = _part_mass(data["part_mass"])
        return Direction(**values)

    def words(self) -> str:
        """What is asked for, in a few words with their numbers: "slippery 0.1, weak ×0.6"; "" where nothing is."""
        return ", ".join(_words(self))


def _same(a: Any, b: Any) -> bool:
    """Whether two values are the same, NaN and NaN being so."""
    return bool(a == b or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b)))


def _given(data: Mapping[str, Any], name: str) -> bool:
    """Whether a number is asked for: what may be left open says so by null, or by NaN."""
    if name not in data:
        return False
    value = data[name]
    open_ended = name in ("friction", "falls_at")
    return not (open_ended and (value is None or isinstance(value, float) and math.isnan(value)))


def _number(value: Any, least: float, most: float, what: str) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not least <= value <= most:
        raise ValueError(f"In a direction, {what} is not a number from {least:g} to {most:g}.")
    return float(value)


def _bounded(name: str, value: Any) -> float:
    return _number(value, *BOUNDS[name])


def _name(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 100:
        raise ValueError("In a direction, a part of the body is named by something that is not a name.")
    return value


def _impulse(value: Any) -> Vector:
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        raise ValueError("In a direction, the push is not three numbers.")
    x, y, z = (_number(part, -MOST_IMPULSE, MOST_IMPULSE, "the push, in N s,") for part in value)
    if math.hypot(x, y, z) > MOST_IMPULSE:
        raise ValueError(f"In a direction, the push is harder than {MOST_IMPULSE:g} N s.")
    return x, y, z


def _part_mass(value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping) or len(value) > MOST_PARTS:
        raise ValueError("In a direction, the weight of parts is not an object of names and kilograms.")
    what = "what a part carries, in kg,"
    return {_name(name): _number(kg, 0.0, MOST_PART_MASS, what) for name, kg in value.items()}


def _words(d: Direction) -> list[str]:
    """A word for each thing that is asked for, in the order of the fields, with how much: takes of a sweep differ in
    nothing else."""
    words = []
    if d.pushes:
        words.append(f"pushed {math.hypot(*d.push_impulse):.3g} N s at {d.push_at:.3g} s")
    if d.friction is not None and d.friction != FRICTION:
        words.append(f"{'slippery' if d.friction < FRICTION else 'sticky'} {d.friction:.3g}")
    if d.slope_deg:
        words.append(f"sloping {d.slope_deg:.3g}°")
    if d.gravity != GRAVITY:
        words.append(f"gravity {d.gravity:.3g} m/s²")
    if d.mass != 1.0:
        words.append(f"{'heavy' if d.mass > 1 else 'light'} ×{d.mass:.3g}")
    if loaded := sorted((name, kg) for name, kg in d.part_mass.items() if kg > 0):
        words.append("loaded " + " and ".join(f"{name.replace('_', ' ')} {kg:.3g} kg" for name, kg in loaded[:2]))
    if d.strength != 1.0:
        words.append(f"{'weak' if d.strength < 1 else 'strong'} ×{d.strength:.3g}")
    words += _mind(d)
    if d.gives_up:
        words.append(f"gives up at {d.falls_at:.3g} s")
    if d.tone != _NOTHING.tone:
        words.append("falls limp" if d.tone == 0 else f"tone {d.tone:.3g}")
    if not d.reflex:
        words.append("no reflex")
    return words


def _mind(d: Direction) -> list[str]:
    """What ails the performer."""
    ails = (
        (d.fatigue, f"tiring {d.fatigue:.3g} a second"),
        (d.clumsiness, f"clumsy {math.degrees(d.clumsiness):.3g}°"),
        (d.delay, f"late {d.delay:.3g} s"),
        (d.drunk, f"drunk {d.drunk:.3g}"),
        (d.start_noise, f"unsteady start {d.start_noise:.3g}"),
    )
    return [words for amount, words in ails if amount]


_NOTHING = Direction()

# Names that an animator knows, in the order of the list. Frictions: ice under a shoe sole 0.1, rubber on dry concrete
# up to 1.5; gravities of the Moon, Mars and Jupiter: NASA, planetary fact sheets
PRESETS: Mapping[str, Direction] = MappingProxyType(
    {
        "Shoved from behind": Direction(push_at=0.3, push_link="chest", push_impulse=(0.0, -60.0, 0.0)),
        "Tripped in mid-air": Direction(push_at=0.8, push_link="foot.L", push_impulse=(0.0, 12.0, 0.0)),
        "Ice rink": Direction(friction=0.1),
        "Sticky floor": Direction(friction=3.0),
        "Downhill": Direction(slope_deg=12.0),
        "Uphill": Direction(slope_deg=12.0, slope_heading_deg=180.0),
        "Moon": Direction(gravity=1.62),
        "Mars": Direction(gravity=3.73),
        "Jupiter": Direction(gravity=24.79),
        "Heavy backpack": Direction(part_mass={"chest": 15.0}),
        "Cast on left leg": Direction(part_mass={"shin.L": 4.0}),
        "Weak": Direction(strength=0.6),
        "Strong": Direction(strength=1.5),
        "Exhausted": Direction(strength=0.8, fatigue=0.25, delay=0.05, clumsiness=0.03),
        "Clumsy": Direction(clumsiness=0.12),
        "Late reactions": Direction(delay=0.15),
        "Drunk": Direction(drunk=0.7, delay=0.08, clumsiness=0.06, clumsiness_time=0.6),
        "Rag doll": Direction(tone=0.0, reflex=False, falls_at=0.5),
        "Never gives up": Direction(tone=1.0),
    }
)
