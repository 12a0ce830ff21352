# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that Blender and the trainer say to each other, as types: read from JSON and written to it here alone.

Events go from the trainer to Blender (events.jsonl), requests the other way (requests/), and job.json says what to
learn. Any of them may come from a stranger: reading an event never fails, since its fields are for display; what is
no value of a field's type becomes the field's default. What steers a run (settings, shots) is refused with a sentence.
Standard library alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, get_args

from ..core.constants import FRICTION
from ..core.direction import Direction
from .json_files import JobError
from .json_values import is_number, is_whole, json_ready, known_values

MOST_FRICTION = 10.0
MOST_WORKERS = 512
MOST_MINUTES = 10_000_000.0  # 19 years
MOST_SEED = 2**63 - 1  # torch takes no larger one
MASS_FACTORS = (0.05, 20.0)  # least and greatest on a body's masses
LONGEST_FILE_NAME = 100
SHOT = "shot: "  # how the phase of a take begins that was asked to bear something
LONGEST_ASKED = 100  # letters of that which a take's title tells: a stranger's may be of any length

Mode = Literal["auto", "search", "scratch"]
MODES: tuple[Mode, ...] = get_args(Mode)
Engine = Literal["auto", "pybullet", "compiled"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
Follow = Literal["both", "place", "style"]
FOLLOWS: tuple[Follow, ...] = get_args(Follow)
Rank: TypeAlias = tuple[bool, int, bool, int, float]  # of takes: the greater, the better
RequestKind = Literal["stop", "pause", "resume", "checkpoint", "shoot"]
REQUEST_KINDS: tuple[RequestKind, ...] = get_args(RequestKind)


# Events


@dataclasses.dataclass(frozen=True)
class Event:
    """Anything the trainer tells; this very class: of a kind that is not known here. time: s since 1970."""

    kind: ClassVar[str] = ""
    time: float = 0.0


@dataclasses.dataclass(frozen=True)
class Started(Event):
    """A run has begun. pid: of the trainer; workers: its processes; mode: of the job's settings; engine: what
    performs. machine, versions: on which computer, and with what, in words."""

    kind: ClassVar[str] = "started"
    pid: int = 0
    workers: int = 0
    mode: str = ""
    seed: int = 0
    engine: str = ""
    machine: str = ""
    versions: str = ""


@dataclasses.dataclass(frozen=True)
class Progress(Event):
    """How far a run is. fraction: 0 to 1 of it; seconds: at work so far; seconds_left: an estimate, None if unknown."""

    kind: ClassVar[str] = "progress"
    phase: str = ""
    fraction: float = 0.0
    seconds: float | None = None
    seconds_left: float | None = None
    control_steps: int = 0
    message: str = ""
    best_score: float = 0.0


@dataclasses.dataclass(frozen=True)
class Paused(Event):
    """The trainer waits to be asked to go on."""

    kind: ClassVar[str] = "paused"


@dataclasses.dataclass(frozen=True)
class Resumed(Event):
    """A paused trainer goes on."""

    kind: ClassVar[str] = "resumed"


@dataclasses.dataclass(frozen=True)
class Warned(Event):
    """Something that the user should know and that ends nothing. message: one sentence."""

    kind: ClassVar[str] = "warning"
    message: str = ""


@dataclasses.dataclass(frozen=True)
class StageSaved(Event):
    """A policy, plan or search was saved. file: in stages/; samples: control steps that a policy has learned from."""

    kind: ClassVar[str] = "stage"
    file: str = ""
    phase: str = ""
    samples: int = 0
    control_steps: int = 0


@dataclasses.dataclass(frozen=True)
class TakeRecorded(Event):
    """A take was recorded, and what it is worth (core.metrics.Measures).

    file: in takes/. source: "search", "replan", "plan", "policy" or "scratch". score: 0 to 1. seconds: of the run.
    stage: file of the policy that performed. request: the id of the request for it, "" when nobody asked. engine: what
    simulated it, "pybullet" or "compiled", "" where that was not said. phase: where it came from, in words. From
    followed on: by their names in Measures; None where not known. outcome, outcome_at, ... impact_part: what happened,
    by core.outcome.Outcome: its kind ("" in older takes), at, degrees, part, kind_too, part_too, highest, turned,
    impact, impact_part.
    """

    kind: ClassVar[str] = "take"
    file: str = ""
    name: str = ""
    source: str = ""
    landed: bool = False
    landed_cleanly: bool | None = None
    stands_3_s: bool | None = None
    success: bool = False
    score: float = 0.0
    seconds: float | None = None
    control_steps: int = 0
    seed: int | None = None
    stage: str = ""
    request: str = ""
    engine: str = ""
    followed: float | None = None
    hops: int | None = None
    steps: int | None = None
    slide_cm: float | None = None
    slip_cm_s: float | None = None
    g_mpjpe_mm: float | None = None
    mpjpe_mm: float | None = None
    landing_bw: float | None = None
    self_penetration_cm: float | None = None
    limit_excess_deg: float | None = None
    penetration_cm: float | None = None
    flight_parabola_cm: float | None = None
    flight_momentum_change: float | None = None
    shake: float | None = None
    robust_of_20: int | None = None
    phase: str = ""
    outcome: str = ""
    outcome_at: float | None = None
    outcome_frame: int | None = None
    outcome_degrees: float | None = None
    outcome_part: str = ""
    outcome_too: str = ""
    outcome_part_too: str = ""
    highest_m: float | None = None
    turned_deg: float | None = None
    impact_m_s: float | None = None
    impact_part: str = ""

    @property
    def asked(self) -> str:
        """What a shot was asked to bear, in words; "" where that is nothing, and of other takes."""
        asked = self.phase.removeprefix(SHOT)[:LONGEST_ASKED] if self.phase.startswith(SHOT) else ""
        return "".join(letter if letter.isprintable() else " " for letter in asked)

    @property
    def rank(self) -> Rank:
        """The greatest is the best take: one that landed cleanly, then one that landed and stands 3 s later.

        What is not known counts between yes and no. Then what it should have done counts, and last the score.
        """
        known = {False: 1, None: 2, True: 3}
        firm, clean = (known[self.stands_3_s], known[self.landed_cleanly]) if self.landed else (0, 0)
        score = self.score if 0.0 <= self.score <= 1.0 else 0.0
        return self.landed and self.landed_cleanly is True, firm, self.success, clean, score


@dataclasses.dataclass(frozen=True)
class Evaluated(Event):
    """A policy was tried under disturbances. landing_rate: share of the trials, 0 to 1."""

    kind: ClassVar[str] = "evaluation"
    phase: str = ""
    landing_rate: float = 0.0
    trials: int = 0


@dataclasses.dataclass(frozen=True)
class Finished(Event):
    """A run has ended as it should.

    reason: "landed", "robust", "time", "stopped" or "shot". best_take: file in takes/, "" without any; landed: whether
    it has landed.
    """

    kind: ClassVar[str] = "finished"
    reason: str = ""
    best_take: str = ""
    landed: bool = False
    seconds: float | None = None
    control_steps: int = 0


@dataclasses.dataclass(frozen=True)
class Failed(Event):
    """A run has ended with an error. message: one sentence for the user."""

    kind: ClassVar[str] = "error"
    message: str = ""


_EVENTS: dict[str, type[Event]] = {
    event.kind: event
    for event in (
        Started,
        Progress,
        Paused,
        Resumed,
        Warned,
        StageSaved,
        TakeRecorded,
        Evaluated,
        Finished,
        Failed,
    )
}
_FILES = ("file", "best_take")  # fields that name a file of the job: a path in them is cut to its last part


def event_from_json(data: Mapping[str, Any]) -> Event:
    """The event of one line of events.jsonl, whatever that holds."""
    kind = data.get("kind")
    event = _read(_EVENTS.get(kind, Event) if isinstance(kind, str) else Event, data)
    if isinstance(event, TakeRecorded) and "success" not in data:
        return dataclasses.replace(event, success=event.landed)
    return event


def event_to_json(event: Event) -> dict[str, Any]:
    """One line of events.jsonl, without its time where that is not known yet."""
    fields = {"kind": event.kind, **json_ready(dataclasses.asdict(event))}
    if not event.time:
        del fields["time"]
    return fields


def take_from_meta(file: str, meta: Mapping[str, Any]) -> TakeRecorded:
    """What a take's own file says of it, as the event that told of it would have."""
    measures = meta.get("measures")
    known = {**meta, **(measures if isinstance(measures, dict) else {}), "file": file}
    take = _read(TakeRecorded, known)
    return dataclasses.replace(
        take, time=0.0, seconds=None, success=take.success or "success" not in known and take.landed
    )


# Requests


@dataclasses.dataclass(frozen=True)
class Request:
    """What Blender asks of the trainer. id: its file's name without the ending. fields: all else that the file says."""

    kind: RequestKind
    id: str
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @staticmethod
    def from_json(data: Mapping[str, Any], name: str) -> Request:
        """Raises ValueError on what asks for something unknown."""
        kind = data.get("kind")
        for known in REQUEST_KINDS:
            if kind == known:
                return Request(known, name, {key: data[key] for key in data if key not in ("kind", "id")})
        raise ValueError(f"{name} asks for something unknown")

    def to_json(self) -> dict[str, Any]:
        return {**self.fields, "kind": self.kind, "id": self.id}


@dataclasses.dataclass(frozen=True)
class ShotRequest:
    """A take that is asked for. stage: a stage's file name; "": the newest one, if any is needed.

    friction, mass: of direction, which has them too; a request of older versions named them alone. disturbed: the start
    is shaken and the circumstances vary with the seed; what is directed leaves that to its direction, unless it asks.
    replan: the landed plan performs where there is one, and is adapted on the way. direction: what the shot is to be.
    """

    seed: int = 0
    friction: float = FRICTION
    mass: float = 1.0
    disturbed: bool = True
    replan: bool = True
    stage: str = ""
    request: str = ""
    direction: Direction = Direction()

    @staticmethod
    def of(request: Request, friction: float) -> ShotRequest:
        """friction: the job's own. Raises JobError with a sentence on what makes no sense."""
        given = {**vars(ShotRequest(friction=friction, disturbed="direction" not in request.fields)), **request.fields}
        if not is_whole(given["seed"], MOST_SEED):
            raise _not_understood("its random number is not a whole number from 0 to 2^63 - 1")
        if not is_number(given["friction"], 0.0, MOST_FRICTION):
            raise _not_understood(f"its friction is not a number from 0 to {MOST_FRICTION:g}")
        if not is_number(given["mass"], *MASS_FACTORS):
            raise _not_understood(f"its mass is no factor from {MASS_FACTORS[0]:g} to {MASS_FACTORS[1]:g}")
        if not isinstance(given["disturbed"], bool) or not isinstance(given["replan"], bool):
            raise _not_understood("what it says of manner and disturbances is neither true nor false")
        stage = given["stage"]
        if not isinstance(stage, str) or len(stage) > LONGEST_FILE_NAME or any(letter in stage for letter in "/\\\0"):
            raise _not_understood("how far it had learned is not the name of a file")
        try:
            direction = Direction.from_json(request.fields.get("direction", {}))
        except ValueError as error:
            raise _not_understood(str(error).rstrip(".")) from error
        floor = float(given["friction"]) if direction.friction is None else direction.friction
        mass = float(given["mass"]) if direction.mass == 1.0 else direction.mass
        direction = dataclasses.replace(direction, friction=None if floor == friction else floor, mass=mass)
        return ShotRequest(
            given["seed"], floor, mass, given["disturbed"], given["replan"], stage, request.id, direction
        )

    @property
    def name(self) -> str:
        """As the list of takes shows it."""
        words = self.direction.words()
        return f"Shot {self.seed}" + (f": {words}" if words else "")


def _not_understood(why: str) -> JobError:
    return JobError(f"What was to be shot cannot be understood: {why}.")


# The job


@dataclasses.dataclass(frozen=True)
class JobSettings:
    """How a job is to be learned. workers 0: one a core. mode: auto: search, then a policy from what landed.
    search: then feedback to what landed, so that it does in small disturbances too. stop_when_landed: neither of both.

    engine: what performs; auto: PyBullet where the trainer's Python has it, else the compiled step. follow: what counts
    more, where the clip goes or how it moves.
    """

    minutes: float = 10.0
    seed: int = 0
    workers: int = 0
    mode: Mode = "auto"
    stop_when_landed: bool = False
    friction: float = FRICTION
    engine: Engine = "auto"
    follow: Follow = "both"

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> JobSettings:
        """Raises JobError with a sentence on settings that make no sense; what is not known is passed over."""
        known = {field.name for field in dataclasses.fields(JobSettings)}
        settings = JobSettings(**{key: value for key, value in data.items() if key in known})
        sound = is_number(settings.minutes, 0, MOST_MINUTES) and settings.minutes > 0
        sound = sound and is_number(settings.friction, 0, MOST_FRICTION)
        sound = sound and is_whole(settings.seed, MOST_SEED) and is_whole(settings.workers, MOST_WORKERS)
        sound = sound and settings.mode in MODES and settings.follow in FOLLOWS
        if not sound or not isinstance(settings.stop_when_landed, bool):
            raise JobError("The training's settings are damaged: some of its numbers make no sense.")
        if settings.engine not in ENGINES:
            raise JobError(
                f"This training asks for a physics engine that is not known here; known are {', '.join(ENGINES)}."
            )
        return settings

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Job:
    """job.json: what to learn.

    body, binding: of core.body and core.rigs.binding, as JSON, not yet checked. settings: of JobSettings, the same.
    avatar: the armature object's name. reference: what is known of the clip (scene.reference).
    """

    body: Mapping[str, Any]
    settings: Mapping[str, Any]
    name: str = ""
    avatar: str = ""
    binding: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    reference: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Job:
        """Raises ValueError, with no full stop, where the body or the settings are missing."""
        body, settings = data.get("body"), data.get("settings")
        if not isinstance(body, dict) or not isinstance(settings, dict):
            raise ValueError("body or settings are missing")
        name, avatar = data.get("name"), data.get("avatar")
        binding, reference = data.get("binding"), data.get("reference")
        return Job(
            body,
            settings,
            name if isinstance(name, str) else "",
            avatar if isinstance(avatar, str) else "",
            binding if isinstance(binding, dict) else {},
            reference if isinstance(reference, dict) else {},
        )

    def to_json(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


@dataclasses.dataclass(frozen=True)
class TrainerRecord:
    """trainer.json: who the trainer is. pid 0: nobody is named. started: s since 1970. host: "" where none is said."""

    pid: int = 0
    started: float = 0.0
    host: str = ""

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> TrainerRecord:
        return _read(TrainerRecord, data)

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


_T = TypeVar("_T", bound="Event | TrainerRecord")


def _read(cls: type[_T], data: Mapping[str, Any]) -> _T:
    """A message of plain values; a field that is missing or of another type has its default."""
    values = known_values(cls, data)
    for name in _FILES:
        if values.get(name):
            values[name] = Path(values[name]).name
    return cls(**values)
