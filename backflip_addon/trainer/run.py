# SPDX-License-Identifier: GPL-3.0-or-later
"""One training run of a job: search for a landed take, then a policy; told in the job's events.

Everything that a later run needs is saved as it comes, so that a trainer killed at any moment goes
on from its last stage.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import body as bodies
from ..core import motion as motions
from ..core import truth
from ..core.body import Body
from ..core.motion import Motion, Take
from ..jobs.folder import HEARTBEAT_SECONDS, JobError, JobFolder
from .search import Performance, Plan, RolloutWorker, Search, SearchSettings, disturbed, replan_settings
from .tracking import Track
from .workers import Pool, WorkerError, core_count
from .world import FRICTION, Scene

if TYPE_CHECKING:
    from .learning import PolicyTraining

PROGRESS_SECONDS = 0.5  # between progress events
PAUSE_SECONDS = 0.1  # between looks for a request while paused
STORY = (0.0, 0.25, 0.5, 0.75)  # shares of a search after which the plan so far is played as a take
HARDER = 1.5  # an attempt that failed is followed by one with so many more rollouts
MOST_SAMPLES = 256
MOST_WORKERS = 512
ROBUST, ROBUST_TRIALS = 0.9, 50  # a policy that lands so many of so many disturbed trials is done
ROBUST_SECONDS = 60.0  # between such trials, which take seconds
START_NOISE = (0.05, 0.1, 0.3)  # of a shot that is not to be like the others: rad, m/s, rad/s
CLEAN_PENETRATION = 1.0  # cm: a landing that sinks deeper is not yet what a search stops for
PLAN_FILE = "plan.npz"  # a landed plan, in stages/
SEARCH_FILE = "search.npz"  # a search under way, in stages/


Rank = tuple[bool, bool, float]  # landed, success, score: what makes one take better than another


class Stopped(Exception):
    """The user asked to stop."""


class TimeIsUp(Exception):
    """The run's minutes are over."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """A job's settings, checked. workers 0: one a core."""

    minutes: float = 10.0
    seed: int = 0
    workers: int = 0
    mode: str = "auto"
    stop_when_landed: bool = False
    friction: float = FRICTION

    @staticmethod
    def of(data: dict[str, Any]) -> Settings:
        """Raises JobError with a sentence on settings that make no sense."""
        known = {field.name for field in dataclasses.fields(Settings)}
        try:
            given = {key: value for key, value in data.items() if key in known}
            settings = Settings(**given)
            sound = math.isfinite(settings.minutes) and settings.minutes > 0 and 0 <= settings.friction < 10
            whole = isinstance(settings.workers, int) and isinstance(settings.seed, int)
            sound = sound and whole and 0 <= settings.workers <= MOST_WORKERS and settings.seed >= 0
        except (TypeError, ValueError) as error:
            raise JobError(f"The job's settings are damaged: {error}.") from error
        if not sound or settings.mode not in ("auto", "search", "scratch"):
            raise JobError("The job's settings are damaged: minutes, seed, workers, friction or mode make no sense.")
        return settings


def run_job(path: str | os.PathLike[str]) -> int:
    """Run a job to its end; returns the exit status."""
    folder = JobFolder(path)
    signal.signal(signal.SIGTERM, _stop_signal)
    try:
        job = folder.read_job()
        for needed in (folder.requests, folder.stages, folder.takes):
            needed.mkdir(exist_ok=True)
        run = Run(folder, job)
        with _heartbeat(folder):
            run.go()
        return 0
    except (Exception, KeyboardInterrupt) as error:
        if not isinstance(error, (JobError, WorkerError, OSError, ValueError)):
            traceback.print_exc()
        sentence = _sentence(error)
        print(sentence, file=sys.stderr)
        with contextlib.suppress(OSError):
            folder.append_event("error", message=sentence)
        return 1
    finally:
        with contextlib.suppress(OSError):
            folder.rest()


def _stop_signal(_signal: int, _frame: object) -> None:
    raise Stopped


def _sentence(error: BaseException) -> str:
    """What went wrong, for the user."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "The disk is full; make room and resume the job. What was saved before is kept."
    if isinstance(error, PermissionError):
        return f"The job folder cannot be written: {error.filename or error}."
    if isinstance(error, MemoryError):
        return "The machine ran out of memory; train with fewer processes."
    if isinstance(error, WorkerError):
        return f"A physics process failed: {str(error).strip().splitlines()[-1]}."
    if isinstance(error, (JobError, ValueError)):
        return str(error)
    return f"The trainer failed: {type(error).__name__}: {error}. The log beside the job has the details."


@contextlib.contextmanager
def _heartbeat(folder: JobFolder) -> Iterator[None]:
    """Beat in the background, whatever the run is busy with."""
    end = threading.Event()

    def beat() -> None:
        while not end.wait(HEARTBEAT_SECONDS):
            with contextlib.suppress(OSError):
                folder.beat()

    folder.beat()
    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


class Run:
    """One run of one job. Raises JobError or ValueError when the job is damaged."""

    def __init__(self, folder: JobFolder, job: dict[str, Any]) -> None:
        self.folder = folder
        self.settings = Settings.of(job["settings"])
        self.body: Body = bodies.from_json(job["body"])
        if self.body.names != bodies.LINK_NAMES:
            raise JobError("The job's body is damaged: it has not all the parts of a humanoid.")
        self.reference: Motion = motions.load_motion(folder.reference_file)
        motions.validate(self.reference, len(self.body.links))
        self.scene = Scene(friction=float(self.settings.friction))
        self.workers = int(self.settings.workers) or core_count()
        self.began = time.monotonic()
        self.paused_seconds = 0.0
        self.phase = "search"
        self.best: tuple[Rank, str] | None = None
        self.control_steps = 0  # of all the job's runs
        self._remember()
        self._told = 0.0
        self._checkpoint_wanted = False
        self._number = _next_number(folder.takes)

    def _remember(self) -> None:
        """What earlier runs of the job have come to."""
        for event in self.folder.read_events()[0]:
            steps = event.get("control_steps")
            if isinstance(steps, int):
                self.control_steps = max(self.control_steps, steps)
            if event.get("kind") == "take" and (self.folder.takes / str(event.get("file"))).is_file():
                self._compare(
                    (bool(event.get("landed")), bool(event.get("success")), float(event.get("score") or 0.0)),
                    str(event["file"]),
                )

    def _compare(self, rank: Rank, file: str) -> None:
        if self.best is None or rank >= self.best[0]:
            self.best = (rank, file)

    @property
    def seconds(self) -> float:
        """Seconds at work: pauses do not count."""
        return time.monotonic() - self.began - self.paused_seconds

    def go(self) -> None:
        """Run the phases that the mode asks for, and tell how it ended."""
        self.folder.append_event(
            "started", pid=os.getpid(), workers=self.workers, mode=self.settings.mode, seed=self.settings.seed
        )
        reason = "time"
        try:
            asked = [request for request in self.folder.take_requests() if request.get("kind") == "shoot"]
            for request in asked:
                self._shoot(request)
            reason = "shot" if asked else self._phases()
        except Stopped:
            reason = "stopped"
        except TimeIsUp:
            pass
        self.folder.append_event(
            "finished",
            reason=reason,
            best_take=self.best[1] if self.best else "",
            landed=bool(self.best and self.best[0][0]),
            seconds=round(self.seconds, 2),
            control_steps=self.control_steps,
        )

    def _phases(self) -> str:
        if self.settings.mode == "scratch":
            return self._learn(None)
        plan = self._landed_plan()
        return self._learn(plan) if self._learns else "landed"

    # Search

    def _landed_plan(self) -> Plan | None:
        """The plan of an earlier run, or one searched for now, harder with every attempt."""
        known = self._known_plan()
        if known is not None:
            return known
        settings = SearchSettings()
        arguments = (self.body, self.reference, self.scene, None, settings.lost)
        with Pool(self.workers, RolloutWorker, *arguments) as pool:
            saved = _load_arrays(self.folder.stages / SEARCH_FILE)
            attempt = int(saved["attempt"]) if saved else 0
            while True:
                samples = min(int(settings.samples * HARDER**attempt), MOST_SAMPLES)
                harder = dataclasses.replace(settings, samples=samples)
                seed = self.settings.seed + 1000 * attempt
                search = Search(self.body, self.reference, pool, harder, self.scene, seed)
                if saved:
                    with contextlib.suppress(ValueError):  # of another body or clip: searched anew
                        search.take_up(saved)
                    saved = None
                plan = self._search_once(search, attempt)
                if plan is not None:
                    return plan
                attempt += 1
                (self.folder.stages / SEARCH_FILE).unlink(missing_ok=True)

    def _known_plan(self) -> Plan | None:
        """The plan of an earlier run, if it still lands: another version's physics may differ."""
        known = _load_arrays(self.folder.stages / PLAN_FILE)
        if known is None:
            return None
        plan, track = Plan(known["knots"], int(known["knot"])), Track(self.body, self.reference)
        if plan.knots.shape[1] == track.width:
            performance = Performance(track, self.scene, track.states[0])
            performance.run(track.targets(plan.offsets(0, track.steps), 0))
            take = performance.take()
            performance.world.close()
            if truth.succeeded(truth.measure(self.body, self.reference, take)):
                return plan
        self.folder.append_event("warning", message="The plan saved earlier no longer lands; another is searched for.")
        return None

    def _search_once(self, search: Search, attempt: int) -> Plan | None:
        """One search from frame 0 to the end; its plan when that succeeded."""
        before = self.control_steps - search.control_steps
        told = [share for share in STORY if search.performed > share * search.track.steps]
        saved_at = search.performed

        def tell(fraction: float, cost: float) -> None:
            nonlocal saved_at
            self.control_steps = before + search.control_steps
            if search.performed != saved_at or self._checkpoint_wanted:
                saved_at = search.performed
                _save_arrays(self.folder.stages / SEARCH_FILE, {**search.checkpoint(), "attempt": attempt})
                if self._checkpoint_wanted:
                    self._checkpoint_wanted = False
                    self.folder.append_event("stage", file=SEARCH_FILE, phase="search")
            due = [share for share in STORY if share not in told and fraction >= share]
            if due:
                told.extend(due)
                self._record(search.attempt().take(), f"Try {attempt + 1}, {round(fraction * 100)} % planned", "search")
            words = f"Attempt {attempt + 1}: planning {fraction * search.track.steps / search.track.rate:.1f}"
            self._progress("search", fraction, f"{words} of {search.track.steps / search.track.rate:.1f} s", -cost)

        try:
            performance = search.perform(tell=tell, good=self._good)
        except (Stopped, TimeIsUp):
            _save_arrays(self.folder.stages / SEARCH_FILE, {**search.checkpoint(), "attempt": attempt})
            self._record(search.attempt().take(), f"Attempt {attempt + 1}, broken off", "search")
            raise
        self.control_steps = before + search.control_steps
        measures = self._record(performance.take(), f"Attempt {attempt + 1}", "search")
        if not truth.succeeded(measures):
            return None
        plan = self._save_plan(search)
        if self._learns and search.performed < search.track.steps:
            # A first landing is often a lucky one: a policy wants a plan that stands firm to its end
            performance = search.perform(tell=tell)
            self.control_steps = before + search.control_steps
            if truth.succeeded(self._record(performance.take(), f"Attempt {attempt + 1}, to its end", "search")):
                plan = self._save_plan(search)
        return plan

    @property
    def _learns(self) -> bool:
        """Whether a policy is trained once a plan has landed."""
        return self.settings.mode == "auto" and not self.settings.stop_when_landed

    def _save_plan(self, search: Search) -> Plan:
        plan = search.plan
        _save_arrays(self.folder.stages / PLAN_FILE, {"knots": plan.knots, "knot": plan.knot})
        self.folder.append_event("stage", file=PLAN_FILE, phase="search", control_steps=self.control_steps)
        return plan

    def _good(self, take: Take) -> bool:
        measures = truth.measure(self.body, self.reference, take)
        return truth.succeeded(measures) and measures["penetration_cm"] < CLEAN_PENETRATION

    # Policy

    def _learn(self, plan: Plan | None) -> str:
        """Train a network, from the plan or from scratch, until it is robust or the time is up."""
        phase = "policy" if plan else "scratch"
        with self._training(plan) as training:
            known = self._latest_stage(phase)
            if known:
                training.load(known)
            before = self.control_steps - training.samples
            due, landed_in_a_row, recorded, looked = training.iterations, 0, None, -ROBUST_SECONDS
            try:
                while True:
                    self.control_steps = before + training.samples
                    rehearsed = recorded is not None and training.rehearsed > recorded[1]
                    # What has learned nothing since performs as it did
                    if training.learned != recorded and (training.iterations >= due or rehearsed):
                        due, recorded = _next_recording(training.iterations), training.learned
                        measures = self._record_policy(training, phase)
                        landed_in_a_row = landed_in_a_row + 1 if truth.succeeded(measures) else 0
                        if landed_in_a_row and self.settings.stop_when_landed:
                            return "landed"
                        if landed_in_a_row >= 2 and plan and self.seconds >= looked + ROBUST_SECONDS:
                            if self._robust(training, phase):
                                return "robust"
                            looked = self.seconds
                    told = training.iterate()
                    self._progress(phase, self.seconds / (60 * self.settings.minutes), *_words(told, phase))
                    if self._checkpoint_wanted:
                        self._checkpoint_wanted = False
                        self._save_stage(training, phase)
            except (Stopped, TimeIsUp):
                self.control_steps = before + training.samples
                self._record_policy(training, phase)
                raise

    def _training(self, plan: Plan | None) -> PolicyTraining:
        # torch takes a second to import and the search does without it
        from .learning import PolicyTraining

        return PolicyTraining(
            self.body, self.reference, workers=self.workers, seed=self.settings.seed, plan=plan, scene=self.scene
        )

    def _robust(self, training: PolicyTraining, phase: str) -> bool:
        """Whether nine in ten disturbed trials land; told as progress."""
        rate = training.landing_rate(ROBUST_TRIALS, ROBUST)
        self.folder.append_event("evaluation", phase=phase, landing_rate=rate, trials=ROBUST_TRIALS)
        return rate >= ROBUST

    def _record_policy(self, training: PolicyTraining, phase: str) -> dict[str, Any]:
        """Save a stage and the attempt it makes."""
        stage = self._save_stage(training, phase)
        name = f"{training.samples / 1e6:.2f} M steps"
        return self._record(training.attempt(self.settings.seed, self.scene), name, phase, stage)

    def _save_stage(self, training: PolicyTraining, phase: str) -> str:
        file = f"{training.iterations:06d}_{phase}.pt"
        training.save(self.folder.stages / file)
        self.folder.append_event(
            "stage", file=file, phase=phase, samples=training.samples, control_steps=self.control_steps
        )
        return file

    def _latest_stage(self, phase: str = "") -> Path | None:
        """The newest stage that can be read; one that a crash has damaged is passed over."""
        from . import stages

        for file in reversed([f for f in self.folder.stage_files() if f.stem.endswith(phase)]):
            try:
                stages.load(file)
                return file
            except ValueError as error:
                print(f"{error}; an older stage is used", file=sys.stderr)
        return None

    # Shooting

    def _shoot(self, request: dict[str, Any]) -> None:
        """Record a take in the circumstances a request names: of the plan, replanned, or of a policy.

        The policy performs where a stage is named, replan is false, or nothing has landed to plan from.
        """
        try:
            seed = int(request.get("seed", 0))
            friction, mass = float(request.get("friction", self.settings.friction)), float(request.get("mass", 1.0))
            scene = Scene(friction=friction, mass=mass)
            unsteady, replan = bool(request.get("disturbed", True)), bool(request.get("replan", True))
        except (TypeError, ValueError) as error:
            raise JobError(f"What was to be shot cannot be understood: {error}.") from error
        wanted = str(request.get("stage", ""))
        plan = _load_arrays(self.folder.stages / PLAN_FILE)
        stage = None if plan is not None and replan and not wanted else self._stage_asked_for(wanted)
        name = f"Shot {seed}" + (f", friction {friction:g}" if friction != FRICTION else "")
        name += f", mass x {mass:g}" if mass != 1.0 else ""
        if stage is not None:
            with self._training(None) as training:
                training.load(stage)
                take = training.attempt(seed, scene, disturbed=unsteady)
            self._record(take, name, stage.stem.partition("_")[2], stage.name)
        elif plan is not None:
            self._record(self._replanned(plan, scene, seed, unsteady), name, "replan")
        else:
            raise JobError("This job has neither a landed plan nor a policy yet; train it first.")

    def _stage_asked_for(self, name: str) -> Path | None:
        """A stage by its file's name, or the newest one. Raises JobError."""
        if not name:
            return self._latest_stage()
        files = {file.name: file for file in self.folder.stage_files()}
        if name not in files:
            raise JobError(f"This job has no stage called {name}.")
        return files[name]

    def _replanned(self, known: dict[str, Any], scene: Scene, seed: int, unsteady: bool) -> Take:
        settings = replan_settings()
        with Pool(self.workers, RolloutWorker, self.body, self.reference, scene, None, settings.lost) as pool:
            search = Search(self.body, self.reference, pool, settings, scene, seed)
            search.start_from(Plan(known["knots"], int(known["knot"])))
            random = np.random.default_rng(seed)
            start = search.track.states[0]
            if unsteady:
                start = disturbed(start, random, *START_NOISE)
            took = self.control_steps

            def tell(fraction: float, cost: float) -> None:
                self.control_steps = took + search.control_steps
                self._progress("shoot", fraction, "Shooting a take", -cost)

            return search.perform(start, tell, self._good).take(seed=seed)

    # What all phases share

    def _record(self, take: Take, name: str, source: str, stage: str = "") -> dict[str, Any]:
        """Measure and save a take, and tell of it. Returns the measures."""
        measures = truth.measure(self.body, self.reference, take)
        score = truth.score(measures)
        file = f"{self._number:04d}_{source}.npz"
        facts = {"name": name, "source": source, "seed": self.settings.seed, "stage": stage, "score": score}
        meta = {**take.meta, **facts, "measures": measures, "control_steps": self.control_steps}
        motions.save_take(self.folder.takes / file, dataclasses.replace(take, meta=meta))
        self._number += 1
        landed, success = bool(measures["landed"]), bool(measures["success"])
        self._compare((landed, success, score), file)
        self.folder.append_event(
            "take",
            file=file,
            name=name,
            landed=landed,
            success=success,
            score=round(score, 4),
            source=source,
            stage=stage,
            control_steps=self.control_steps,
            seconds=round(self.seconds, 2),
        )
        return measures

    def _progress(self, phase: str, fraction: float, message: str, score: float) -> None:
        """Tell how far it is, and obey requests. Raises Stopped or TimeIsUp."""
        self._obey()
        now = time.monotonic()
        limit = self.settings.minutes * 60.0
        if now - self._told >= PROGRESS_SECONDS or phase != self.phase:
            self._told, self.phase = now, phase
            left = limit - self.seconds
            if phase == "search" and self._learns:
                fraction = min(self.seconds / limit, 1.0)  # the search is only the first part of the work
            elif phase == "search" and fraction > 0.05:
                left = min(left, self.seconds * (1 - fraction) / fraction)
            self.folder.append_event(
                "progress",
                phase=phase,
                fraction=round(fraction, 4),
                seconds=round(self.seconds, 2),
                seconds_left=round(max(left, 0.0), 1),
                control_steps=self.control_steps,
                message=message,
                best_score=round(score, 4),
            )
        if self.seconds > limit and phase != "shoot":
            raise TimeIsUp

    def _obey(self) -> None:
        """Carry out what was asked since the last look."""
        for request in self.folder.take_requests():
            kind = request.get("kind")
            if kind == "stop":
                raise Stopped
            if kind == "pause":
                self._rest()
            elif kind == "checkpoint":
                self._checkpoint_wanted = True
            elif kind == "shoot":
                self._try_to_shoot(request)

    def _rest(self) -> None:
        """Wait for resume or stop."""
        self.folder.append_event("paused")
        began = time.monotonic()
        try:
            while True:
                time.sleep(PAUSE_SECONDS)
                kinds = [request.get("kind") for request in self.folder.take_requests()]
                if "stop" in kinds:
                    raise Stopped
                if "resume" in kinds:
                    self.folder.append_event("resumed")
                    return
        finally:
            self.paused_seconds += time.monotonic() - began

    def _try_to_shoot(self, request: dict[str, Any]) -> None:
        """Shoot in the midst of training; what cannot be shot does not end the training."""
        if self.phase == "shoot":
            return  # one shot at a time: it is asked for again by the next press of the button
        phase = self.phase
        try:
            self._shoot(request)
        except JobError as error:
            self.folder.append_event("warning", message=str(error))
        self.phase = phase


def _next_recording(iteration: int) -> int:
    """Dense early, sparse late: the failures of the first minutes are the story."""
    return iteration + max(1, iteration // 8)


def _words(told: dict[str, Any], phase: str) -> tuple[str, float]:
    """A sentence on an iteration, and its score."""
    if "rehearsed" in told:
        return f"Rehearsing under disturbances: {told['rehearsed']:.0%}", told["mean_return"]
    words = f"{told['samples'] / 1e6:.2f} M steps, {told['survival']:.0%} of the episodes survive"
    return ("Learning from scratch: " if phase == "scratch" else "Learning to do it anywhere: ") + words, told[
        "mean_return"
    ]


def _next_number(takes: Path) -> int:
    numbers = [int(file.name[:4]) for file in takes.glob("*.npz") if file.name[:4].isdigit()] if takes.is_dir() else []
    return max(numbers, default=-1) + 1


def _save_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Write an npz file whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as file:
        np.savez(file, **{key: np.asarray(value) for key, value in arrays.items()})
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _load_arrays(path: Path) -> dict[str, Any] | None:
    """An npz file's arrays; None when it is missing or damaged (then the work is done anew)."""
    try:
        with np.load(path, allow_pickle=False) as data:
            return {key: data[key] for key in data.files}
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged zip raises a dozen kinds
        print(f"{path.name} cannot be read and is done anew: {error}", file=sys.stderr)
        return None
