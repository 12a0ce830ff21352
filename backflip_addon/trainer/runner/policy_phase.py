# SPDX-License-Identifier: GPL-3.0-or-later
"""The second phase of a run: a network that learns, from a landed plan or from scratch, and its stages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...core import metrics, outcome
from ...core.body import Body
from ...core.motion import Take
from ...jobs.messages import Evaluated, StageSaved
from ..imitation.disturbances import with_robustness
from ..physics.simulator import CONTROL_RATE
from ..physics.state import Scene
from ..planning.plan import Plan
from .inbox import Stopped
from .recorder import NUMBERED
from .run_context import RunContext, TimeIsUp

if TYPE_CHECKING:
    from ..rl.counters import IterationReport
    from ..rl.trainer import PolicyTraining

ROBUST, ROBUST_TRIALS = 0.9, 50  # a policy that lands so many of so many disturbed trials is done
EARLY, EARLY_TRIES = 4, 2  # iterations within which so many tries are recorded each time, later one
EARLY_FROM_SCRATCH = 3  # of which two begin in the midst, as 7 of 10 episodes do (rl.settings)
SOON = 25  # iterations, some twenty seconds: a landing is noticed so soon while there have been few
TRY_SEEDS = 1000  # seeds set aside for the tries of one iteration
# Tries of which one is recorded, where all end as others have of late: what tells it takes two fifths of the time that
# a try takes with its fall. Between their seeds
LOOKS, OTHER_TRY = 4, 100
RECENT = 4  # recorded tries in which a verdict has not come up that is worth recording at once
ALIKE = 0.05  # m: attempts that stay as near to each other in all frames as they are performed are the same once more
WEIGHT = "Learning what changes with its weight"  # said of planning.weight
ROBUST_SECONDS = 60.0  # between such trials, which take seconds


def new_training(run: RunContext, plan: Plan | None, body: Body | None = None) -> PolicyTraining:
    """A new training, from a plan or from scratch. body: that learns, or performs; None: the job's."""
    # torch takes a second to import and the search does without it
    from ..rl.trainer import PolicyTraining

    return PolicyTraining(
        body or run.body,
        run.reference,
        workers=run.workers,
        seed=run.settings.seed,
        plan=plan,
        scene=run.scene,
        meanwhile=run.check,
        engine=run.engine,
        new_pool=run.pool,
        track=run.track if body is None or body is run.body else None,
    )


def load_latest_stage(run: RunContext, training: PolicyTraining, phase: str = "") -> Path | None:
    """Load the newest stage (of a phase) that can be used; those that cannot are set aside. None: there is none."""
    for file in reversed([file for file in run.folder.list_stages() if file.stem.endswith(phase)]):
        try:
            training.load(file)
            return file
        except ValueError as error:
            run.set_aside(file, error)
    return None


def learn(run: RunContext, plan: Plan | None) -> str:
    """Train until the policy is robust. Returns why it ended; raises what RunContext.progress() raises."""
    run.check()
    with new_training(run, plan) as training:
        return PolicyPhase(run, training, plan).go()


class PolicyPhase:
    """A training under way."""

    def __init__(self, run: RunContext, training: PolicyTraining, plan: Plan | None) -> None:
        self.run, self.training, self.plan = run, training, plan
        self.phase = "policy" if plan else "scratch"
        load_latest_stage(run, training, self.phase)
        self.before = run.control_steps - training.samples
        self.due, self.looked = training.iterations, -ROBUST_SECONDS
        self.recorded: tuple[int, bool] | None = None  # what had been learned when it was last recorded
        self.landed_in_a_row = 0
        self.last_take: Take | None = None  # the last attempt without noise that was recorded
        self.stage = ""  # the file of the one that was saved last
        self.tries = 0  # attempts with noise that were recorded
        self.told: list[str] = []  # what became of them (outcome.KINDS)
        training.tell_weight = self._tell_weight

    def go(self) -> str:
        """Train until there is a reason to end, and return it.

        Raises Stopped or TimeIsUp, once what was learned is recorded.
        """
        run, training = self.run, self.training
        try:
            while True:
                run.control_steps = self.before + training.samples
                reason = self._record_if_due()
                if reason:
                    return reason
                told = training.iterate()
                share = run.seconds / (60 * run.settings.minutes)
                run.progress(self.phase, share, *_words(told, self.phase))
                if wanted := run.inbox.checkpoints():
                    save_stage(run, training, self.phase)
                    for request in wanted:
                        run.inbox.finish(request)
        except (Stopped, TimeIsUp):
            run.control_steps = self.before + training.samples
            self._record()
            raise

    def _tell_weight(self, share: float) -> None:
        run = self.run
        run.progress(self.phase, run.seconds / (60 * run.settings.minutes), f"{WEIGHT}: {share:.0%}", share)

    def _record_if_due(self) -> str:
        """Record what was learned, where it is time to; returns why the training has come to its end, or ""."""
        run, training = self.run, self.training
        # What has learned nothing since performs as it did
        if training.learned == self.recorded or training.iterations < self.due:
            return ""
        self.due, self.recorded = _next_recording(training.iterations), training.learned
        self.landed_in_a_row = self.landed_in_a_row + 1 if metrics.is_success(self._record(unless_alike=True)) else 0
        self._record_tries()
        if self.landed_in_a_row and run.settings.stop_when_landed:
            return "landed"
        if self.landed_in_a_row >= 2 and self.plan and run.seconds >= self.looked + ROBUST_SECONDS:
            if self._robust():
                return "robust"
            self.looked = run.seconds
        return ""

    def _robust(self) -> bool:
        """Whether nine in ten disturbed trials land; told as progress."""
        rate = self.training.landing_rate(ROBUST_TRIALS, ROBUST)
        self.run.tell(Evaluated(phase=self.phase, landing_rate=rate, trials=ROBUST_TRIALS))
        return rate >= ROBUST

    def _record(self, unless_alike: bool = False) -> metrics.Measures:
        """Save a stage and the attempt it makes; unless_alike: the attempt only where it differs from the last."""
        training, run = self.training, self.run
        stage, phase = save_stage(run, training, self.phase), self._words()
        self.stage = stage
        take = training.attempt(run.settings.seed, run.scene)
        if unless_alike and self.last_take is not None and _alike(take, self.last_take):
            return metrics.evaluate_take(run.body, run.reference, take)
        self.last_take = take
        return run.record(robustness_told(run, training, take), self._name(), self.phase, stage=stage, phase=phase)

    def _record_tries(self) -> None:
        """Record how it tries: with the noise that it learns by, and every second time in other circumstances.

        From scratch most of its episodes begin in the midst of the clip, where they show what the first frame never
        leads to; so do two of three tries then.
        """
        run, training, scratch = self.run, self.training, self.phase == "scratch"
        early = EARLY_FROM_SCRATCH if scratch else EARLY_TRIES
        for _ in range(early if training.iterations < EARLY else 1):
            run.check()
            self.tries += 1
            take = self._unlike_others() if scratch else self._try(0)
            begins = metrics.begins_at(run.reference, take)
            name = f"{self._name()}, try {self.tries}" + (f" from {begins:.1f} s on" if begins else "")
            phase = f"{self._words()}, a try" + (f" from {begins:.1f} s of the clip on" if begins else "")
            run.record(take, name, self.phase, stage=self.stage, phase=phase)
            self.told.append(self._kind(take))

    def _try(self, number: int, plays_out: bool = True) -> Take:
        """One try; number: of those of which one is recorded."""
        training, run = self.training, self.run
        seed = run.settings.seed + TRY_SEEDS * training.iterations + self.tries + OTHER_TRY * number
        begins = self._begins(number) if self.phase == "scratch" and self.tries % 3 != 1 else 0
        disturbed = begins > 0 or self.tries % 2 == 0
        return training.attempt(
            seed, None if disturbed else run.scene, disturbed, exploring=True, begins=begins, plays_out=plays_out
        )

    def _begins(self, number: int) -> int:
        """The control step at which a try in the midst begins: the first where an episode might, others anywhere."""
        training, reference = self.training, self.run.reference
        steps = int((reference.duration - metrics.LEAST_LEFT) * CONTROL_RATE)
        last = max(min(training.trajectory.landed, steps), 2)
        random = np.random.default_rng([self.run.settings.seed, training.iterations, self.tries, number])
        return int(random.integers(1, last)) if number else training.start_states.draw(random, 1, last)

    def _unlike_others(self) -> Take:
        """A try whose like has not just been recorded; of some that all have been, the one whose like has not been for
        longest."""
        since: list[int] = []
        while len(since) < LOOKS and max(since, default=0) <= RECENT:
            self.run.check()
            since.append(self._since(self._try(len(since), plays_out=False)))
        return self._try(int(np.argmax(since)))

    def _since(self, take: Take) -> int:
        """How many tries ago one with the same verdict was recorded."""
        kind = self._kind(take)
        return self.told[::-1].index(kind) if kind in self.told else len(self.told) + RECENT + 1

    def _kind(self, take: Take) -> str:
        return outcome.what_happened(self.run.body, self.run.reference, take).kind

    def _name(self) -> str:
        return f"{self.training.samples / 1e6:.2f} M steps"

    def _words(self) -> str:
        """Where an attempt comes from."""
        learning = "policy" if self.phase == "policy" else "from scratch"
        return f"{learning}, after {self._name()}" if self.training.samples else f"{learning}, before learning anything"


def save_stage(run: RunContext, training: PolicyTraining, phase: str, newest: bool = False) -> str:
    """Write what was learned as a stage of a phase, and tell of it. Returns its file's name. newest: whether it comes
    after all that are there, however little it was trained."""
    file = write_stage(run, training, phase, newest)
    run.tell(StageSaved(file=file, phase=phase, samples=training.samples, control_steps=run.control_steps))
    return file


def write_stage(run: RunContext, training: PolicyTraining, phase: str, newest: bool = False) -> str:
    """As save_stage(), and nobody is told."""
    numbers = [int(match[1]) for file in run.folder.list_stages() if (match := NUMBERED.match(file.name))]
    number = max([training.iterations, *(n + 1 for n in numbers)]) if newest else training.iterations
    file = f"{number:06d}_{phase}.pt"
    training.save(run.make_way(run.folder.stages / file))
    return file


def robustness_told(
    run: RunContext, training: PolicyTraining, take: Take, tell: Callable[[float], None] = lambda share: None
) -> Take:
    """An attempt of a training; of one that lands, told in how many small disturbances it does. tell: the share of
    them that is over; may raise."""
    if run.scene != Scene() or not metrics.evaluate_take(run.body, run.reference, take).landed:
        return take
    return with_robustness(take, training.small_landings(tell))


def _alike(take: Take, other: Take) -> bool:
    """Whether two attempts look the same: as long, the root all along at the same place, and both stand or fall."""
    one, another = metrics.performed_part(take).motion, metrics.performed_part(other).motion
    count = min(one.frames, another.frames)
    if abs(one.frames - another.frames) > ALIKE * one.rate or (metrics.PERFORMED in take.meta) != (
        metrics.PERFORMED in other.meta
    ):
        return False
    return bool(np.linalg.norm(one.position[:count] - another.position[:count], axis=1).max() < ALIKE)


def _next_recording(iteration: int) -> int:
    """Dense early, sparse late: the failures of the first minutes are the story. Attempts take as long as some
    iterations, so that one after each would hold the learning up, and with it what there is to tell."""
    return iteration + max(1, min(iteration // 3, max(SOON, iteration // 8)))


def _words(told: IterationReport, phase: str) -> tuple[str, float]:
    """A sentence on an iteration, and its score."""
    words = f"{told.samples / 1e6:.2f} M steps, {told.survival:.0%} of the episodes survive"
    return (
        "Learning from scratch: " if phase == "scratch" else "Learning to do it anywhere: "
    ) + words, told.mean_return
