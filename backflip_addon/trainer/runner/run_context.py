# SPDX-License-Identifier: GPL-3.0-or-later
"""What all phases of a run share: the job, its clock, its takes, and what is told and asked."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...core import body as bodies
from ...core import metrics
from ...core import motion as motions
from ...core.body import Body
from ...core.clock import awake_seconds
from ...core.metrics import Measures
from ...core.motion import Motion, Take
from ...jobs.folder import JobFolder
from ...jobs.json_files import JobError
from ...jobs.messages import Event, Follow, Job, JobSettings, Progress, TakeRecorded, Warned
from ..cluster import ray_machines
from ..cluster.rollouts import ClusterRollouts
from ..cluster.rounds import ClusterPool, Machines, Rounds
from ..imitation.compiled_rollouts import CompiledRollouts
from ..imitation.cost import Weights
from ..imitation.reference_track import Track
from ..physics import engines
from ..physics.state import Scene
from ..planning.search_settings import SearchSettings
from ..workers import Pool, Workers, core_count
from . import plan_files
from .inbox import Inbox
from .recorder import DIGEST, TakeRecorder, steps_of

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.5  # between progress events
FRICTION_DIGITS = 4
# Share of the usual weight that the centre of mass's place has in a search's cost; its velocity always counts as usual.
# With a tenth a body may go on from wherever it has come to, and keeps the clip's speeds.
PLACE = {"both": 1.0, "place": 3.0, "style": 0.1}
FAR_OFF = 2.0  # m: a body whose place hardly counts is not lost before
CLEAN_PENETRATION = 1.0  # cm: a landing that sinks deeper is not yet what a search stops for


class TimeIsUp(Exception):
    """The run's minutes are over."""


class RunContext:
    """One run of one job. Raises JobError or ValueError when the job is damaged, WorkerError where there is no cluster.

    cluster: where its workers are, "" for this computer's processes.
    """

    def __init__(self, folder: JobFolder, job: Job, cluster: str = "") -> None:
        self.folder, self.cluster = folder, cluster
        self.settings = JobSettings.from_json(job.settings)
        self.body = _body_of(job.body)
        self.reference: Motion = motions.load_motion(folder.reference_file)
        motions.validate(self.reference, len(self.body.links))
        self.engine = engines.chosen(self.settings.engine)  # performs and judges all that the run records
        # Blender keeps 0.9 as 0.89999998: that is the floor that nobody chose, all the same
        self.scene = Scene(friction=round(float(self.settings.friction), FRICTION_DIGITS))
        self.workers = int(self.settings.workers) or core_count()
        self.began = awake_seconds()
        self.phase = "search"
        self.control_steps = 0  # of all the job's runs
        self._told = 0.0
        self.longest = 0.0  # s of the clip that a plan has come to
        self._recorded: set[str] = set()  # digests of this run's takes, and of the latest before it
        folder.make_rooms()
        self.inbox = Inbox(folder, self.tell)
        self.takes = TakeRecorder(folder, self.body, self.reference, self.tell)

    @property
    def seconds(self) -> float:
        """Seconds at work: pauses do not count."""
        return awake_seconds() - self.began - self.inbox.paused_seconds

    def restart_clock(self) -> None:
        """Count the run's seconds from now on."""
        self.began, self.inbox.paused_seconds = awake_seconds(), 0.0

    @functools.cached_property
    def track(self) -> Track:
        """The reference as the body can follow it; it takes a second to make."""
        return Track(self.body, self.reference)

    @property
    def learns(self) -> bool:
        """Whether a policy is trained once a plan has landed."""
        return self.settings.mode == "auto" and not self.settings.stop_when_landed

    @property
    def steadies(self) -> bool:
        """Whether a plan that has landed gets feedback, and no network: a landing is to be a clean one."""
        return self.settings.mode == "search" and not self.settings.stop_when_landed

    def rollouts(self, track: Track, lost: float) -> CompiledRollouts:
        """What tries a search's candidates: threads here, or a cluster's workers. lost: m."""
        weights = weights_for(self.settings.follow)
        if not self.cluster:
            return CompiledRollouts(track, lost, self.workers, weights)
        ray_machines.connect(self.cluster, self.workers)
        return ClusterRollouts(track, lost, self._machines, self.check, weights)

    def pool(self, count: int, make: Callable[..., Any], *arguments: Any, meanwhile: Any = None) -> Workers:
        """Workers that hold make(*arguments): as many processes here, or a cluster's."""
        if not self.cluster:
            return Pool(count, make, *arguments, meanwhile=meanwhile)
        ray_machines.connect(self.cluster, self.workers)
        return ClusterPool(Rounds(self._machines(make, arguments), meanwhile))

    def _machines(self, make: Callable[..., Any], arguments: tuple[Any, ...]) -> Machines:
        return ray_machines.RayMachines(make, arguments, int(self.settings.workers))

    def tell(self, event: Event) -> None:
        """Append an event."""
        if not isinstance(event, Progress):
            logger.info("%s", event)
        self.folder.append_event(event)

    def remember(self) -> None:
        """What earlier runs of the job have come to."""
        events = self.folder.read_events()[0]
        self.control_steps = max(map(steps_of, events), default=0)
        self.takes.remember(events)
        self._recorded |= self.takes.digests()

    def set_aside(self, path: Path, why: object) -> None:
        """Keep a damaged file under another name, and say so."""
        aside = plan_files.set_aside(path)
        self.tell(Warned(message=f"{str(why).rstrip('.')}; it is kept as {aside.name} and done anew."))

    def make_way(self, path: Path) -> Path:
        """path, to be written; a folder in its place goes aside."""
        if path.is_dir():
            self.set_aside(path, f"{path.name} is a folder")
        return path

    def record(
        self,
        take: Take,
        name: str,
        source: str,
        *,
        seed: int | None = None,
        stage: str = "",
        request: str = "",
        phase: str = "",
        control_steps: int | None = None,
        number: int | None = None,
    ) -> Measures:
        """Measure, save and tell of a take. Returns the measures. phase: where it came from, in words. control_steps:
        that were simulated before it was begun; None: all so far. number: reserved for it.

        What is the same attempt once more, to the number, is measured and not recorded, unless it was asked for or says
        in how many small disturbances it lands: in the compiled step feedback performs its plan once more.
        """
        about = TakeRecorded(
            name=name,
            source=source,
            seconds=round(self.seconds, 2),
            control_steps=self.control_steps if control_steps is None else control_steps,
            seed=seed,
            stage=stage,
            request=request,
            phase=phase,
        )
        digest = digest_of(take)
        if digest in self._recorded and not request:
            return metrics.evaluate_take(self.body, self.reference, take)
        self._recorded.add(digest)
        return self.takes.record(dataclasses.replace(take, meta={**take.meta, DIGEST: digest}), about, number)

    def good(self, take: Take) -> bool:
        """Whether a search may stop with this take."""
        measures = metrics.evaluate_take(self.body, self.reference, take)
        return metrics.is_success(measures) and measures.penetration_cm < CLEAN_PENETRATION

    def check(self) -> None:
        """Between steps and while waiting: raises Stopped or JobGone when the run is to end."""
        self.inbox.check()

    def take_shots(self) -> None:
        """Record the takes that are asked for in the midst of training."""

    def progress(self, phase: str, fraction: float, message: str, score: float) -> None:
        """Tell how far it is, and obey requests. Raises Stopped, JobGone or TimeIsUp."""
        self.inbox.obey()
        if phase != "shoot":
            self.take_shots()
        now = time.monotonic()
        limit = self.settings.minutes * 60.0
        if now - self._told >= PROGRESS_SECONDS or phase != self.phase:
            self._told, self.phase = now, phase
            left = limit - self.seconds
            if phase == "search" and self.learns:
                fraction = min(self.seconds / limit, 1.0)  # the search is only the first part of the work
            elif phase == "search" and fraction > 0.05:
                left = min(left, self.seconds * (1 - fraction) / fraction)
            self.tell(
                Progress(
                    phase=phase,
                    fraction=round(fraction, 4),
                    seconds=round(self.seconds, 2),
                    seconds_left=round(max(left, 0.0), 1),
                    control_steps=self.control_steps,
                    message=message,
                    best_score=round(score, 4),
                )
            )
        if self.seconds > limit and phase != "shoot":
            raise TimeIsUp


def digest_of(take: Take) -> str:
    """What tells a take from others: its poses, and what is known of its robustness."""
    robust = str(take.meta.get(metrics.ROBUST, "")).encode()
    return hashlib.sha256(take.motion.position.tobytes() + take.motion.rotations.tobytes() + robust).hexdigest()


def _body_of(data: Mapping[str, Any]) -> Body:
    """The job's body. Raises JobError with a sentence."""
    try:
        body = bodies.from_json(dict(data))
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        words = str(error) if isinstance(error, ValueError) else f"{type(error).__name__} in its numbers"
        raise JobError(f"The training's body is damaged: {words}.") from error
    if body.names != bodies.LINK_NAMES:
        raise JobError("The training's body is damaged: it has not all the parts of a humanoid.")
    return body


def weights_for(follow: Follow) -> Weights:
    """Of the cost of a search that follows one thing more: where a clip goes, or how it moves."""
    usual = Weights()
    return dataclasses.replace(usual, centre=PLACE[follow] * usual.centre)


def search_settings_for(follow: Follow) -> SearchSettings:
    """How a body is given up as lost changes with what it follows."""
    usual = SearchSettings()
    return dataclasses.replace(usual, lost=FAR_OFF) if follow == "style" else usual
