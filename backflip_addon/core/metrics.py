# SPDX-License-Identifier: GPL-3.0-or-later
"""What a take is worth, measured from its own frames alone ("Truth" in backflip_addon/README.md says what counts).

Used by the trainer, the tests and the UI alike, on a simulated take and on one measured back off
a baked rig. How each is measured, core/measures; in which words it is told, core/verdict.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .arrays import Array, BoolArray
from .body import FEET, TRUNK, Body
from .burden import body_of_take
from .measures import balance, flight, footwork, joints, laws
from .measures.course import Course
from .measures.course import root_tilt as root_tilt
from .measures.turning import SURELY_OVER, turns_over_off
from .measures.turning import net_somersault as net_somersault
from .measures.turning import somersault_off as somersault_off
from .measures.turning import twist_off as twist_off
from .motion import Motion, Take
from .proportions import hip_to_sole

TAIL_SECONDS = 1.0  # a take goes on so long after a clip that ends standing,
STEP_SECONDS = 0.5  # and so much longer where a foot is to be put down first
FOLLOWED_ERROR = 0.35  # m, mean link error past which the clip is lost
UPRIGHT = balance.UPRIGHT
TURN_TOLERANCE = np.radians(30)  # of a take's somersault and twist off the reference's
SLOW_END = 0.65  # leg lengths a second: a clip whose root goes on faster does not end standing
REFERENCE_TOUCH = 0.05  # m: a link that the reference brings so near may touch
RESTING_HEIGHT = 0.03  # m: a foot of the reference that is lower rests
HANGING_LOW, HANGING_HIGH = 0.04, 0.12  # m: one between hangs over the floor; a higher one is meant to be up
HIPS_HIGH = 0.6  # leg lengths over the lower foot: a body that stands holds its hips higher
TRUNK_LOW = 0.11  # leg lengths: a body whose pelvis or chest the reference brings so near the floor lies there
KNEE_LOW = 0.25  # leg lengths: a knee that the reference brings so near the floor may touch it
SCORE_SCALE = 500.0  # mm of mean error by which a score falls to 1/e
PERFORMED = "performed_frames"  # in a take's meta: how many were performed; in those after them the body falls
STANDS = "stands_3_s"  # in a take's meta: whether it still stood, played so much further with its pose held
STANDS_SECONDS = 3.0
BEGINS = "begins_at"  # in a take's meta: s of the clip at which it was begun, in the clip's own state there
LEAST_LEFT = 0.2  # s of the clip that a take which is begun in its midst has before it
ROBUST = "robust_of_20"  # in a take's meta: in how many of TRIALS small disturbances what performed it lands
TRIALS = 20

# A clean landing has less, or no more, than this
CLEAN_STEPS = 1  # to recover
CLEAN_SLIDE = 2.0  # cm, of a planted foot
CLEAN_PENETRATION = 1.0  # cm, of one part in another, and of any in the floor
CLEAN_LIMITS = 2.0  # degrees past a joint's limit: a solver's limits give way by as much when hit at speed
# Ten times what takes of either engine come to at most (0.02 cm, 5.5 %), and twice (9)
CLEAN_PARABOLA = 1.0  # cm, of the centre of mass in flight
CLEAN_MOMENTUM = 0.3  # share of the angular momentum in flight
CLEAN_SHAKE = 20.0  # times the clip's
CLEAN_LANDINGS = 16  # of TRIALS


@dataclasses.dataclass(frozen=True)
class Measures:
    """What a take is worth. None stands for what is not known, or isn't there to be measured.

    landed: None for a clip that does not end standing (there is nothing to land). landed_cleanly: landed without any
    of its flaws; None where nothing else denies it and robust_of_20 is not known. stands_3_s: whether it still stood,
    played so much further with its pose held. success: followed to the end without falling, and, of a clip that ends
    standing, landed. followed: share of the clip, 0 to 1.

    g_mpjpe_mm, mpjpe_mm: mean link position error, global and relative to the root; worst_error_mm: of the worst frame.
    hops, steps: those that the clip lacks; hops_after, steps_after: of them, after the clip's own last flight.
    slip_cm_s: mean speed of contacts, by force; slide_cm: the longest of a planted foot. penetration_cm: the deepest
    point under the floor; self_penetration_cm, _s: of one part in another, and for how long deeper than 1 cm.
    limit_excess_deg: a joint past its limits. landing_bw: the floor's greatest force over 50 ms, body weights.
    flight_parabola_cm, flight_momentum_change: how far flights leave the laws of motion. shake: share of joint angles'
    power above 8 Hz over the clip's own. robust_of_20: landings of so many under small disturbances.

    somersault_deg: net turn, see net_somersault(), and the reference's; somersault_off_deg, twist_off_deg: see
    somersault_off(), twist_off().
    illegal_contacts: links that touched the floor and may not. complete: it goes on for as long as it must.
    seconds: its length. helped_at: when something moves it that is no force of its own (laws.helped_at), s.
    """

    landed: bool | None
    landed_cleanly: bool | None
    stands_3_s: bool | None
    success: bool
    followed: float
    g_mpjpe_mm: float
    mpjpe_mm: float
    worst_error_mm: float
    hops: int
    hops_after: int
    steps: int
    steps_after: int
    slip_cm_s: float | None
    slide_cm: float
    penetration_cm: float
    self_penetration_cm: float
    self_penetration_s: float
    limit_excess_deg: float
    landing_bw: float | None
    flight_parabola_cm: float | None
    flight_momentum_change: float | None
    shake: float | None
    robust_of_20: int | None
    somersault_deg: float
    reference_somersault_deg: float
    somersault_off_deg: float
    twist_off_deg: float
    illegal_contacts: tuple[str, ...]
    complete: bool
    seconds: float
    helped_at: float | None = None

    @property
    def turned_off(self) -> float:
        """How far it has turned too much or too little, as a share of what a landing may: somersault or twist."""
        off = max(abs(self.somersault_off_deg), abs(self.twist_off_deg))
        return float(np.radians(off) / TURN_TOLERANCE)

    @property
    def flaws(self) -> tuple[str, ...]:
        """What keeps a landing from being clean: names of measures, see flaws()."""
        return flaws(vars(self))

    def to_json(self) -> dict[str, Any]:
        """As a take's file keeps them."""
        return {**dataclasses.asdict(self), "illegal_contacts": list(self.illegal_contacts)}


def evaluate_take(body: Body, reference: Motion, take: Take) -> Measures:
    """All measures of a take that follows a reference from its frame 0, or from where it says that it begins.

    A take that is known to fall after its last frame has not landed. One that was begun in the clip's midst has been
    given its speed and its turning: it has neither landed nor succeeded, whatever it came to, and what it followed is a
    share of the whole clip. Nor has one that was helped, or of which nothing shows that it was simulated. Of a fall
    that was played out, what was performed is measured. A simulation that breaks down into numbers that are not finite
    is measured up to there. Raises ValueError when that is its first frame.
    """
    measures = evaluate_motion(body, reference, take)
    helped = helped_at(body, take)
    return measures if helped is None else dataclasses.replace(_denied(measures), helped_at=helped)


def evaluate_motion(body: Body, reference: Motion, take: Take) -> Measures:
    """As evaluate_take(), by poses and contacts alone, whatever moved them."""
    measures = measured_from_its_beginning(body, reference, take)
    begins = begins_at(reference, take)
    if not begins:
        return measures
    share = measures.followed * (1.0 - begins / reference.duration)
    return dataclasses.replace(_denied(measures), followed=share)


def _denied(measures: Measures) -> Measures:
    denied = None if measures.landed is None else False
    return dataclasses.replace(measures, landed=denied, landed_cleanly=denied, success=False)


def helped_at(body: Body, take: Take) -> float | None:
    """As laws.helped_at(), of what was performed."""
    body, take = body_of_take(body, take), sound_part(performed_part(take))
    return laws.helped_at(Course.of_take(body, take), take)


def begins_at(reference: Motion, take: Take) -> float:
    """Seconds of the reference at which a take was begun; 0 of most."""
    told = take.meta.get(BEGINS)
    if isinstance(told, bool) or not isinstance(told, (int, float)):
        return 0.0
    return float(told) if 0.0 < told < reference.duration - LEAST_LEFT else 0.0


def clip_of_take(reference: Motion, take: Take) -> Motion:
    """What a take follows from its frame 0: the reference, or what is left of it where the take was begun."""
    begins = begins_at(reference, take)
    if not begins:
        return reference
    times = begins + np.arange(int((reference.duration - begins) * reference.rate + 1e-6) + 1) / reference.rate
    position, orientations = reference.sample(times)
    return dataclasses.replace(reference, position=position, rotations=orientations, sure=reference.sure_at(times))


def measured_from_its_beginning(body: Body, reference: Motion, take: Take) -> Measures:
    """As evaluate_motion(), and as if the clip began where the take does: landed says what then became of it."""
    allowed, reference = allowed_contacts(body, reference), clip_of_take(reference, take)
    body, take = body_of_take(body, take), performed_part(take)
    frames, take = take.motion.frames, sound_part(take)
    course, clip = Course.of_take(body, take), Course.of_clip(body, reference)
    standing = ends_standing(body, reference)
    needed = reference.duration + tail_seconds(body, reference) - 1.5 / course.rate
    complete = bool(course.frames == frames and course.times[-1] >= needed)
    errors = _Errors.of(course, reference)
    turns = _Turns.of(course, reference)
    illegal = (take.contacts | course.touching) & ~allowed
    stands_on = take.meta.get(STANDS)
    stands = stands_on is not False and balance.stands_at_end(course)
    leapt = flight.leaves_the_floor(course) or not flight.leaps(clip)
    landed = complete and not illegal.any() and stands and turns.agree and leapt if standing else None
    followed = complete and errors.worst <= FOLLOWED_ERROR and not balance.falls(course, clip)
    parabola, momentum = flight.flight_errors(course, laws.push_frame(course, take))
    slip = footwork.slip(course)
    inside, inside_seconds = joints.self_penetration(course)
    extra = footwork.extra_footwork(course, clip)
    measures = Measures(
        landed=None if landed is None else bool(landed),
        landed_cleanly=None,
        stands_3_s=stands_on if isinstance(stands_on, bool) else None,
        success=bool(followed and landed is not False),
        followed=errors.followed,
        g_mpjpe_mm=errors.mean * 1000,
        mpjpe_mm=errors.relative * 1000,
        worst_error_mm=errors.worst * 1000,
        **dataclasses.asdict(extra),
        slip_cm_s=None if slip is None else slip * 100,
        slide_cm=footwork.longest_slide(course) * 100,
        penetration_cm=float(max(0.0, -course.lows.min()) * 100),
        self_penetration_cm=inside * 100,
        self_penetration_s=inside_seconds,
        limit_excess_deg=float(np.degrees(joints.limit_excess(body, course.local))),
        landing_bw=footwork.landing_force(course),
        flight_parabola_cm=None if parabola is None else parabola * 100,
        flight_momentum_change=momentum,
        shake=joints.shake(course, clip),
        robust_of_20=_landings(take),
        somersault_deg=float(np.degrees(turns.somersault)),
        reference_somersault_deg=float(np.degrees(turns.wanted)),
        somersault_off_deg=float(np.degrees(turns.somersault_off)),
        twist_off_deg=float(np.degrees(turns.twist_off)),
        illegal_contacts=tuple(sorted({body.names[i] for i in np.flatnonzero(illegal.any(axis=0))})),
        complete=complete,
        seconds=float(course.times[-1]),
    )
    return dataclasses.replace(measures, landed_cleanly=cleanly(vars(measures)))


def flaws(values: Mapping[str, object]) -> tuple[str, ...]:
    """What keeps a landing from being clean, of measures by their names, the worst to look at first.

    What isn't there, or is not a number, is no flaw that is known.
    """
    numbers = {
        name: value for name, value in values.items() if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    return tuple(name for name, is_flaw in _FLAWS.items() if name in numbers and is_flaw(numbers[name]))


_FLAWS: dict[str, Callable[[float], bool]] = {
    "hops": lambda count: count > 0,
    "steps": lambda count: count > CLEAN_STEPS,
    "slide_cm": lambda cm: cm >= CLEAN_SLIDE,
    "self_penetration_cm": lambda cm: cm >= CLEAN_PENETRATION,
    "limit_excess_deg": lambda degrees: degrees > CLEAN_LIMITS,
    "penetration_cm": lambda cm: cm >= CLEAN_PENETRATION,
    "flight_parabola_cm": lambda cm: cm >= CLEAN_PARABOLA,
    "flight_momentum_change": lambda share: share >= CLEAN_MOMENTUM,
    "shake": lambda times: times >= CLEAN_SHAKE,
    "robust_of_20": lambda landings: landings < CLEAN_LANDINGS,
}


def cleanly(values: Mapping[str, object]) -> bool | None:
    """Whether a take landed cleanly, by its measures' names: landed, without any of flaws(); None without a landing.

    A word that flatters is a defect: as long as nobody has tried how robust it is, no landing is called clean, but
    None.
    """
    if values["landed"] is None:
        return None
    if not values["landed"] or flaws(values):
        return False
    return None if values["robust_of_20"] is None else True


def _landings(take: Take) -> int | None:
    """How many of TRIALS landed, where the take tells."""
    told = take.meta.get(ROBUST)
    return told if isinstance(told, int) and not isinstance(told, bool) and 0 <= told <= TRIALS else None


@dataclasses.dataclass(frozen=True)
class _Errors:
    """Link position errors during the clip, m: mean over all, the same relative to the root, and of the worst frame.

    followed: the share of the clip until the mean link error first passes FOLLOWED_ERROR.
    """

    mean: float
    relative: float
    worst: float
    followed: float

    @staticmethod
    def of(course: Course, reference: Motion) -> _Errors:
        """Of a take, during its clip."""
        times = course.times
        during = times <= reference.duration + 1e-6
        goals, _ = course.body.forward(*reference.sample(times[during]))
        own = course.positions[during]
        errors = np.linalg.norm(own - goals, axis=-1)
        relative = np.linalg.norm((own - own[:, :1]) - (goals - goals[:, :1]), axis=-1)
        frames = errors.mean(axis=1)
        lost = np.flatnonzero(frames > FOLLOWED_ERROR)
        count = int(lost[0]) if len(lost) else len(frames)
        followed = min(1.0, count / max(reference.duration * course.rate, 1.0))
        return _Errors(float(errors.mean()), float(relative.mean()), float(frames.max()), followed)


@dataclasses.dataclass(frozen=True)
class _Turns:
    """What a take turns in all during its clip, rad: net_somersault() and the clip's, somersault_off(), twist_off().
    over_off: turns_over_off()."""

    somersault: float
    wanted: float
    somersault_off: float
    twist_off: float
    over_off: int

    @staticmethod
    def of(course: Course, reference: Motion) -> _Turns:
        """Of a take, during its clip."""
        during = course.times <= reference.duration + 1e-6
        root, goal = course.local[during, 0], reference.sample(course.times[during])[1][:, 0]
        return _Turns(
            net_somersault(root),
            net_somersault(goal),
            somersault_off(root, goal),
            twist_off(root, goal),
            turns_over_off(root_tilt(root[:, None]), root_tilt(goal[:, None])),
        )

    @property
    def agree(self) -> bool:
        """Whether neither is further than TURN_TOLERANCE from the clip's, and both turn over as often."""
        return bool(max(abs(self.somersault_off), abs(self.twist_off)) <= TURN_TOLERANCE and not self.over_off)


def performed_part(take: Take) -> Take:
    """The take without the fall that was played out after it."""
    count = take.meta.get(PERFORMED)
    known = isinstance(count, int) and not isinstance(count, bool) and 0 < count < take.motion.frames
    return take.first(count) if known and isinstance(count, int) else take


def sound_part(take: Take) -> Take:
    """The take up to its first frame with a number that is not finite. Raises ValueError when that is its first."""
    motion = take.motion
    sound = np.isfinite(motion.position).all(axis=1) & np.isfinite(motion.rotations).all(axis=(1, 2))
    if take.load is not None:
        sound &= np.isfinite(take.load).all(axis=1)
    if sound.all():
        return take
    end = int(np.argmin(sound))
    if not end:
        raise ValueError("the take holds numbers that are not finite")
    return take.first(end)


def score(measures: Measures) -> float:
    """One number in [0, 1] to rank attempts by: the share of the clip followed, times nearness.

    A fall that was played out ends what is measured: what is missing of the clip counts as off by FOLLOWED_ERROR.
    """
    missing = 1.0 - measures.followed
    off = measures.followed * measures.g_mpjpe_mm + missing * FOLLOWED_ERROR * 1000
    return float(measures.followed * np.exp(-max(off, measures.g_mpjpe_mm) / SCORE_SCALE))


def is_success(measures: Measures) -> bool:
    """Followed without falling, and landed where there is something to land."""
    return measures.success


def unrest(body: Body, take: Take) -> float:
    """How much a body that stands at a take's end sways, swivels and leans there (balance.unrest): 0 to 1, or more."""
    return balance.unrest(Course.of_take(body, sound_part(performed_part(take))))


def has_a_landing(body: Body, reference: Motion) -> bool:
    """Whether a clip ends on its feet after a leap or upside down: to land that is something, wherever it is done."""
    if not ends_standing(body, reference):
        return False
    clip = Course.of_clip(body, reference)
    return flight.leaps(clip) or bool((clip.tilt > SURELY_OVER).any())


def ends_standing(body: Body, reference: Motion) -> bool:
    """Whether a clip ends on its feet: upright, a foot on the floor, the hips high, and slow."""
    positions, orientations = body.forward(reference.position[-1:], reference.rotations[-1:])
    if not root_tilt(orientations)[0] < UPRIGHT:
        return False
    lows = body.lowest_points(positions, orientations)[0]
    feet = [body.index(name) for name in FEET]
    hips_high = positions[0, 0, 2] - min(lows[feet]) > HIPS_HIGH * hip_to_sole(body)
    last = reference.position[-max(int(reference.rate / 10), 2) :]
    speed = np.linalg.norm(last[-1, :2] - last[0, :2]) * reference.rate / max(len(last) - 1, 1)
    return bool(min(lows[feet]) < REFERENCE_TOUCH and hips_high and speed < SLOW_END * hip_to_sole(body))


def tail_seconds(body: Body, reference: Motion) -> float:
    """How long a take goes on after its clip, s: until one that ends standing has come to rest."""
    if not ends_standing(body, reference):
        return 0.0
    last = reference.position[-1:], reference.rotations[-1:]
    lows = body.lowest_points(*body.forward(*last), [body.index(name) for name in FEET])[0]
    return TAIL_SECONDS + (STEP_SECONDS if hanging_foot(lows) is not None else 0.0)


def hanging_foot(lows: Array) -> int | None:
    """Which of two feet whose lowest points (2,) are so high, m, hangs just over the floor on which the other rests."""
    hanging = (lows >= HANGING_LOW) & (lows < HANGING_HIGH)
    return int(np.argmax(hanging)) if hanging.sum() == 1 and lows.min() < HANGING_LOW else None


def allowed_contacts(body: Body, reference: Motion) -> BoolArray:
    """Links (L,) that may touch the floor: the feet, and what the reference itself brings there.

    Each link counts for itself: of an arm that the reference puts down on its hand, the hand may touch and the forearm
    may not. A body that lies, rolls or gets up may touch with all of itself, and with its head where that comes as
    near.
    """
    positions, orientations = body.forward(reference.position, reference.rotations)
    lows = body.lowest_points(positions, orientations)
    allowed: BoolArray = brought_down(body, positions, orientations).any(axis=0)
    allowed[[body.index(name) for name in FEET]] = True
    near: BoolArray = (lows < TRUNK_LOW * hip_to_sole(body)).any(axis=0)
    if near[[name in TRUNK for name in body.names]].any():
        allowed |= near | np.array([name != "head" for name in body.names])
    return allowed


def brought_down(body: Body, positions: Array, orientations: Array) -> BoolArray:
    """Which links (F, L) a reference, in frames (F, L, 3), (F, L, 4), brings so near the floor that they are meant to
    touch."""
    down: BoolArray = body.lowest_points(positions, orientations) < REFERENCE_TOUCH
    for side in ("L", "R"):
        # A shin's lower end comes near the floor in any crouch; only a knee down there is meant
        shin = body.index(f"shin.{side}")
        down[:, shin] &= positions[:, shin, 2] < KNEE_LOW * hip_to_sole(body)
    return down
