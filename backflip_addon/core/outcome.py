# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened in a take, measured from its own frames: how it ended, when, on which part, and how hard.

Whether it landed is metrics' business and is asked there; this tells what became of those that did not, and what a
landing cost. A take may go on after its performance, to where its body lies still (metrics.PERFORMED): the fall is
part of what happened, and no part of what is measured as the performance.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from . import metrics
from .arrays import BoolArray
from .body import FEET, Body
from .burden import body_of_take
from .measures import balance, footwork, toppling
from .measures.course import Course, Phase
from .measures.flight import LEAP_SECONDS
from .measures.footwork import hardest_impact
from .measures.parts_down import thrown_over, trunk_part, upside_down, what_comes_down, what_too
from .measures.toppling import FACES, STILL_LEANS, faces_up
from .measures.turning import turns_over_off
from .metrics import Measures
from .motion import Motion, Take
from .proportions import hip_to_sole

# Kinds, as files keep them
LANDED, STUMBLED = "landed", "stumbled"
UNDER_ROTATED, OVER_ROTATED, NEVER_LEFT = "under_rotated", "over_rotated", "never_left"
FELL_FORWARD, FELL_BACKWARD, FELL_SIDEWAYS, SLUMPED = "fell_forward", "fell_backward", "fell_sideways", "slumped"
ON_HEAD, ON_BACK, ON_KNEES, ON_HANDS = "on_head", "on_back", "on_knees", "on_hands"
STRAYED, EXPLODED, FOLLOWED, BROKEN_OFF = "strayed", "exploded", "followed", "broken_off"
HELPED = "helped"  # something moved it that is no force of its own: nothing that was simulated
CAME_THROUGH = "came_through"  # of a take that was begun in the clip's midst, which is no landing
KINDS = (
    *(LANDED, STUMBLED, FOLLOWED, CAME_THROUGH, UNDER_ROTATED, OVER_ROTATED, NEVER_LEFT),
    *(FELL_FORWARD, FELL_BACKWARD, FELL_SIDEWAYS, SLUMPED, ON_HEAD, ON_BACK, ON_KNEES, ON_HANDS),
    *(STRAYED, EXPLODED, BROKEN_OFF, HELPED),
)

_ON = {
    "head": ON_HEAD,
    **dict.fromkeys(("back", "shoulder", "seat", "side"), ON_BACK),
    "knees": ON_KNEES,
    "hands": ON_HANDS,
}
_WAYS = {"forward": FELL_FORWARD, "backward": FELL_BACKWARD, "sideways": FELL_SIDEWAYS, "nowhere": SLUMPED}

FLIGHT = 0.1  # s off the floor at least: a shorter one is a twitch, no leap (of measures.flight)
LEAP = 0.3  # m/s up of the centre of mass when the floor is left: one that tips over lifts its feet while it sinks
HIGH_LEAP = 0.3  # m that a flight so long rises: no stride that goes wrong, whatever the clip
SOMERSAULT = np.radians(150)  # net turn from which on a clip is one that rotates
# Of the line from hips to head, from upright, of who is thrown over: from there on, as its head comes down, it lands on
# that, though hands, a shoulder or the back came before: one that has turned on until then lies down flat
HEADLONG = np.radians(120)
FAR_OFF = np.radians(120)  # of the rotation: a body that lacks more comes down otherwise than on its legs
SHORT = np.radians(45)  # and of who is on its feet for a while with less it is the fall that is seen
CAUGHT = 0.2  # s of standing on its feet after a flight, from which on a fall is no part of the landing
# Of the trunk: who comes down with more on hands or knees lies on its front next, and does not kneel
PRONE = np.radians(60)
BRIEFLY = 0.05  # s on its feet, from which on a body fell, and did not leap onto another part
LOW = 0.45  # leg lengths: hips that end lower, where the clip's do not, have come down for good
SOON = 0.5  # s by which a clip may lie down later than its take, and be what it follows
# What no body does: a baseball pitcher's hand comes to 25 m/s (Fleisig et al. 1999, J. Biomech. 32)
FASTEST = 45.0  # m/s of a link
DEEPEST = 0.5  # m under the floor
FARTHEST = 100.0  # m from where it began


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What happened in a take.

    kind: of KINDS. at: the moment, s since the start, and frame, the take's. degrees: how far it was off the clip's
    rotation when it came down, negative: too little. part: what it came down on, "" where it landed. kind_too: the
    other way of who fell diagonally, of KINDS, and part_too: what of another sort came down at once with the part, each
    "" where nothing is: of two that are as true neither is left out.
    highest: of the centre of mass, m over the floor. turned: net somersault until then, degrees, signed as in metrics.
    impact: the hardest in the whole take, m/s down onto the floor, and impact_part, the link's name.
    """

    kind: str
    at: float
    frame: int
    degrees: float
    part: str
    highest: float
    turned: float
    impact: float
    impact_part: str
    kind_too: str = ""
    part_too: str = ""

    def facts(self) -> dict[str, Any]:
        """As a take's file and its event name them (jobs.messages.TakeRecorded)."""
        return {
            "outcome": self.kind,
            "outcome_at": self.at,
            "outcome_frame": self.frame,
            "outcome_degrees": self.degrees,
            "outcome_part": self.part,
            "outcome_too": self.kind_too,
            "outcome_part_too": self.part_too,
            "highest_m": self.highest,
            "turned_deg": self.turned,
            "impact_m_s": self.impact,
            "impact_part": self.impact_part,
        }


def what_happened(body: Body, reference: Motion, take: Take, measures: Measures | None = None) -> Outcome:
    """What happened in a take that follows a reference from its frame 0, or from where it says that it begins.

    measures: of metrics.evaluate_take, where they are known. Raises ValueError, as that does, on a take whose first
    frame holds numbers that are not finite.
    """
    allowed, begun = metrics.allowed_contacts(body, reference), metrics.begins_at(reference, take) > 0
    if begun or measures is None:
        helped = None if measures is None else measures.helped_at
        measures = metrics.measured_from_its_beginning(body, reference, take)
        measures = dataclasses.replace(measures, helped_at=helped)
    body, sound = body_of_take(body, take), metrics.sound_part(take)
    course = Course.of_take(body, sound)
    clip = Course.of_clip(body, metrics.clip_of_take(reference, take))
    story = _Story(course, clip, measures, allowed, begun)
    broken = _explosion(course) if sound.motion.frames == take.motion.frames else sound.motion.frames - 1
    kind, frame, part = (EXPLODED, broken, "") if broken is not None else story.end()
    degrees = story.rotation_off(frame) if kind not in (FOLLOWED, CAME_THROUGH, EXPLODED, HELPED) else 0.0
    impact, link = hardest_impact(course)
    kind_too, part_too = story.as_true(kind, frame, part)
    return Outcome(
        kind=kind,
        at=frame / course.rate,
        frame=frame,
        degrees=float(np.degrees(degrees)),
        part=part,
        highest=float(course.centre[: frame + 1 if kind == EXPLODED else None, 2].max()),
        turned=float(np.degrees(metrics.net_somersault(course.local[: frame + 1, 0]))) if frame else 0.0,
        impact=impact,
        impact_part=link,
        kind_too=kind_too,
        part_too=part_too,
    )


@dataclasses.dataclass(frozen=True)
class _Story:
    """A take held against its clip. allowed (L,): links that may touch the floor. begun: in the clip's midst."""

    course: Course
    clip: Course
    measures: Measures
    allowed: BoolArray
    begun: bool = False

    def end(self) -> tuple[str, int, str]:
        """Kind, frame and part of a take whose numbers are a body's."""
        m, last = self.measures, self.course.frames - 1
        if m.helped_at is not None:
            return HELPED, min(round(m.helped_at * self.course.rate), last), ""
        if m.landed and m.stands_3_s is not False:
            kind = STUMBLED if m.hops_after or m.steps_after > metrics.CLEAN_STEPS else LANDED
            kind = CAME_THROUGH if self.begun else kind
            return kind, self._touchdown(last) or min(self._clip_end(), last), ""
        if m.landed is None and m.success:
            return CAME_THROUGH if self.begun else FOLLOWED, min(self._clip_end(), last), ""
        hit = self._first_hit()
        if hit is not None and self._clip_low[0] and not self._stands[: hit + 1].any():
            return self._stayed_down(hit)
        if hit is not None:
            return self._fall(hit)
        if m.complete and self._low[last] and not self._clip_low[-1]:
            return self._stayed_down(last)
        if self._flight(last) is None and self._clip_leaps and m.complete:
            return NEVER_LEFT, min(self._clip_end(), last), "feet"
        if abs(self.rotation_off(last)) > metrics.TURN_TOLERANCE and m.complete:
            touchdown = self._touchdown(last) or min(self._clip_end(), last)
            return self._turned_wrongly(touchdown), touchdown, "feet"
        if m.landed is not None and m.complete:
            return STUMBLED, last, "feet"  # on its feet, and not at rest
        lost = self._lost()
        return (STRAYED, lost, "") if lost is not None else (BROKEN_OFF, last, "")

    def _fall(self, hit: int) -> tuple[str, int, str]:
        """Of a take in which a part that may not comes down at a frame."""
        part, down = what_comes_down(self.course, self.allowed, hit)
        flight = self._flight(hit)
        if flight and not self.begun and not self._high_enough(flight):
            flight = None
        thrown_at = thrown_over(self.course)
        thrown = bool(thrown_at[[hit, down]].any())
        part = "hands" if part == "knees" and thrown_at[hit] else part  # which follow
        if flight is None and not (thrown and self._clip_turns_over and part == "head"):
            return self._direction(hit, down), hit, part
        since = flight[1] if flight else hit
        stands = self.course.touching[since:hit, self._feet].any(axis=1)
        caught = stands.sum() / self.course.rate > CAUGHT
        stood_up = (stands & (self.course.tilt[since:hit] < STILL_LEANS)).sum() / self.course.rate > CAUGHT
        on_feet_first = stands.sum() / self.course.rate > BRIEFLY
        if not caught and thrown and part in ("head", "shoulder"):
            if upside_down(self.course, HEADLONG)[down]:
                return ON_HEAD, hit, "head"
            part = trunk_part(self.course, self.course.body.index("chest"), down)
        off = abs(self.rotation_off(hit))
        fell_from_feet = stood_up or caught and off < SHORT
        if off > metrics.TURN_TOLERANCE and not fell_from_feet and (off < FAR_OFF or part not in _ON):
            return self._turned_wrongly(hit), hit, part
        flat = part == "head" or part in ("shoulder", "side") and abs(faces_up(self.course, down)) < FACES
        prone = part in ("knees", "hands") and not thrown and self.course.tilt[down] > PRONE
        if on_feet_first or flat or prone or part not in _ON:
            return self._direction(hit, down), hit, part
        return _ON[part], hit, part

    def as_true(self, kind: str, hit: int, part: str) -> tuple[str, str]:
        """Of a fall at a frame the other way that it goes, and what of another sort comes down at once with a part; ""
        where nothing does, and of what is no fall."""
        if hit != self._first_hit() or not part:
            return "", ""
        _, down = what_comes_down(self.course, self.allowed, hit)
        ways = self._directions(hit, down) if kind in _WAYS.values() else []
        return next((way for way in ways if way != kind), ""), what_too(self.course, self.allowed, down, part)

    def _stayed_down(self, last: int) -> tuple[str, int, str]:
        """Of a take that ends down where its clip does not, and in which all that came down may: it fell, or, where the
        clip lies as well or it never was up, it did not get up."""
        up = np.flatnonzero(self._stands)
        down = int(up[-1]) + 1 if len(up) else 0
        way = self._direction(down, down)
        if not down or way == self._clips_way_down(down):
            lost = self._lost()
            return STRAYED, last if lost is None else lost, ""
        return way, down, trunk_part(self.course, 0, down)

    def _clips_way_down(self, frame: int) -> str:
        """Which way the clip, down at a take's frame or soon, goes down; "" of one that stays up or lay before."""
        low, now = self._clip_low, round(frame / self.course.rate * self.clip.rate)
        lies = np.flatnonzero(low[now : now + round(SOON * self.clip.rate) + 1]) + now
        up = np.flatnonzero(~low[: lies[0]]) if len(lies) else lies
        return self._direction(int(up[-1]) + 1, int(up[-1]) + 1, self.clip) if len(up) else ""

    def _high_enough(self, flight: Phase) -> bool:
        """Whether a flight is a leap to tell of, and not how a body topples over: as long as one, or, of a clip that
        does not leap, as high: g t^2 / 8."""
        seconds = (flight[1] - flight[0]) / self.course.rate
        if self._clip_leaps:
            return seconds >= LEAP_SECONDS
        return float(np.linalg.norm(self.course.gravity)) * seconds**2 / 8 >= HIGH_LEAP

    def _turned_wrongly(self, frame: int) -> str:
        return UNDER_ROTATED if self.rotation_off(frame) < 0 else OVER_ROTATED

    def rotation_off(self, frame: int) -> float:
        """By how much the body has turned more than its clip, rad, when each of them comes down; negative: less.

        Of a clip that goes over sideways whole turns alone, of one that came down on its feet; 0 of any other that does
        not rotate. A body that did not leave the floor is held against the whole clip.
        """
        if not self._must_rotate:
            on_its_feet = self.measures.complete and self._first_hit() is None
            return 2 * np.pi * turns_over_off(self.course.tilt, self.clip.tilt) if on_its_feet else 0.0
        touchdown = self._touchdown(frame)
        own = self.course.local[: (frame if touchdown is None else touchdown) + 1, 0]
        flight = self._clip_flight()
        wanted = self.clip.local[: flight[1] + 1 if flight else None, 0]
        return float(np.sign(metrics.net_somersault(wanted)) * metrics.somersault_off(own, wanted))

    def _first_hit(self) -> int | None:
        """The first frame in which a link touches the floor that may not."""
        frames = np.flatnonzero((self.course.touching & ~self.allowed).any(axis=1))
        return int(frames[0]) if len(frames) else None

    def _direction(self, hit: int, down: int, course: Course | None = None) -> str:
        return self._directions(hit, down, course)[0]

    def _directions(self, hit: int, down: int, course: Course | None = None) -> list[str]:
        """Which way, or ways, the body, or that of another course, went down: see toppling.ways_down()."""
        since = self._touchdown(hit) or 0 if course is None else 0
        return [_WAYS[way] for way in toppling.ways_down(course or self.course, hit, down, since)]

    def _lost(self) -> int | None:
        """The first frame in which the mean link error is greater than one that still follows the clip."""
        course, clip = self.course, self.clip
        during = course.times <= (clip.frames - 1) / clip.rate + 1e-6
        goals = Motion(clip.rate, clip.positions[:, 0], clip.local).sample(course.times[during])
        positions, _ = course.body.forward(*goals)
        errors = np.linalg.norm(course.positions[during] - positions, axis=-1).mean(axis=1)
        lost = np.flatnonzero(errors > metrics.FOLLOWED_ERROR)
        return int(lost[0]) if len(lost) else None

    @property
    def _feet(self) -> list[int]:
        return [self.course.body.index(name) for name in FEET]

    @property
    def _leg(self) -> float:
        return hip_to_sole(self.course.body)

    def _clip_end(self) -> int:
        """The take's frame at its clip's end."""
        return round((self.clip.frames - 1) / self.clip.rate * self.course.rate)

    def _clip_flight(self) -> Phase | None:
        return _longest(footwork.airborne(self.clip), self.clip.rate)

    @property
    def _clip_leaps(self) -> bool:
        flight = self._clip_flight()
        return flight is not None and flight[1] - flight[0] >= LEAP_SECONDS * self.clip.rate

    @property
    def _clip_turns_over(self) -> bool:
        return bool(upside_down(self.clip).any())

    @property
    def _low(self) -> BoolArray:
        """The frames (F,) in which the hips are down."""
        return self._hips_down(self.course)

    @property
    def _stands(self) -> BoolArray:
        """The frames (F,) in which the body is up, on a foot or both."""
        on_feet = self.course.touching[:, self._feet].any(axis=1) & ~self._low
        stands: BoolArray = on_feet & (self.course.tilt < STILL_LEANS)
        return stands

    @property
    def _clip_low(self) -> BoolArray:
        return self._hips_down(self.clip)

    def _hips_down(self, course: Course) -> BoolArray:
        low: BoolArray = course.positions[:, 0, 2] < LOW * self._leg
        return low

    @property
    def _must_rotate(self) -> bool:
        return bool(abs(metrics.net_somersault(self.clip.local[:, 0])) > SOMERSAULT)

    def _flight(self, before: int) -> Phase | None:
        """The take's longest flight that ends by a frame, of those that it leaped into; one that it begins with is no
        leap, unless it was begun in the clip's, which is the one to tell of then."""
        rising = balance.centre_velocity(self.course)[:, 2] > LEAP
        flights = [(start, end) for start, end in footwork.airborne(self.course) if start < before]
        leaps = [(start, end) for start, end in flights if start and rising[start]]
        if self._begun_before_flight >= 0 and flights and not flights[0][0]:
            leaps = flights[:1] if self._begun_before_flight == 0 else [flights[0], *leaps]
        return _longest([(start, min(end, before)) for start, end in leaps], self.course.rate)

    @property
    def _begun_before_flight(self) -> int:
        """How many of the clip's frames before its flight the take was begun: 0: in it; -1: a while before, or at the
        clip's start."""
        starts = [start for start, _ in footwork.airborne(self.clip) if start <= FLIGHT * self.clip.rate]
        return starts[0] if self.begun and starts else -1

    def _touchdown(self, before: int) -> int | None:
        """The frame in which the take's longest flight by a frame ends; None without one."""
        return flight[1] if (flight := self._flight(before)) else None


def _longest(flights: list[Phase], rate: float) -> Phase | None:
    """The longest of flights that are some."""
    some = [flight for flight in flights if flight[1] - flight[0] >= FLIGHT * rate]
    return max(some, key=lambda flight: flight[1] - flight[0], default=None)


def _explosion(course: Course) -> int | None:
    """The first frame whose numbers no body can have; None where there is none."""
    speeds = np.linalg.norm(np.diff(course.positions, axis=0, prepend=course.positions[:1]), axis=-1) * course.rate
    off = np.linalg.norm(course.positions[:, 0] - course.positions[0, 0], axis=-1)
    wild = (speeds > FASTEST).any(axis=1) | (course.lows.min(axis=1) < -DEEPEST) | (off > FARTHEST)
    return int(np.argmax(wild)) if wild.any() else None
