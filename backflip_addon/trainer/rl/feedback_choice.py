# SPDX-License-Identifier: GPL-3.0-or-later
"""Which gains a trajectory's feedback gets: of regulators of the same models the one that lands most often."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable

import numpy as np

from ..imitation.disturbances import SMALL, Disturbances
from ..imitation.target_trajectory import TargetTrajectory
from ..planning.lqr import DESIGNS, Design, Feedback
from ..workers import Workers, even_slices

FIRST_TRIALS = 4  # one of so many is in the first look at gains
KEPT = 2  # designs that are looked at longer than that
LOOKS = 3  # parts of a longer look
BEHIND = 0.05  # by which a variation may land less often there than the best, and is looked at longer
FAR_BEHIND = 0.15  # by which what is looked at longer may land less often so far, and is looked at on: two deviations
Landings = tuple[float, float]  # the share of trials that land, and their mean cost, negative: the greater, the better


@dataclasses.dataclass(frozen=True)
class Chosen:
    """A trajectory with its gains, the share of trials that land under them, and the design they are of, if any."""

    trajectory: TargetTrajectory
    lands: float = 0.0
    design: Design | None = None


Flaws = Callable[[TargetTrajectory], int | None]  # that a performance has; None: it does not land


def remembered(flaws: Flaws) -> Flaws:
    """The same, but for the last few trajectories that were asked of, of which it is known: a performance takes
    seconds."""
    known: collections.deque[tuple[TargetTrajectory, int | None]] = collections.deque(maxlen=4)

    def told(trajectory: TargetTrajectory) -> int | None:
        for own, count in known:
            if own is trajectory:
                return count
        known.append((trajectory, flaws(trajectory)))
        return known[-1][1]

    return told


class Looks:
    """Looks at how often a trajectory lands in disturbances, small ones, under its feedback, which workers
    (rl.rollouts.PolicyWorker) play: trials of these seeds. follow: makes them follow another trajectory."""

    def __init__(
        self,
        pool: Workers,
        follow: Callable[[TargetTrajectory], None],
        seeds: list[int],
        disturbances: Disturbances = SMALL,
    ) -> None:
        self._pool, self._follow, self._disturbances = pool, follow, disturbances
        first = len(seeds) // FIRST_TRIALS
        self._first, self._rest = seeds[:first], seeds[first:]

    def first(self, trajectory: TargetTrajectory) -> Landings:
        """In few trials, which are not played on to see whether it still stands later."""
        return self._look(trajectory, self._first)

    def longer(self, trajectory: TargetTrajectory, beat: float = 0.0) -> Landings:
        """In the others, not played on either; not in all, once it is far behind a share to beat: then what is not
        tried counts as not landed."""
        return self._look(trajectory, self._rest, LOOKS, beat)

    def judged(self, trajectory: TargetTrajectory) -> Landings:
        """In those again, as a landing is judged: played on, which takes as long as all before."""
        return self._look(trajectory, self._rest, stays=True)

    def _look(
        self,
        trajectory: TargetTrajectory,
        seeds: list[int],
        parts: int = 1,
        beat: float = 0.0,
        stays: bool = False,
    ) -> Landings:
        self._follow(trajectory)
        landed, costs, tried = 0, 0.0, 0
        for part in even_slices(len(seeds), parts):
            some = seeds[part]
            shares = even_slices(len(some), len(self._pool))
            answers = self._pool.share("landings", [(some[own], self._disturbances, stays) for own in shares])
            landed += sum(int(own.sum()) for own, _ in answers)
            costs += sum(float(own.sum()) for _, own in answers)
            tried += len(some)
            hopeless = landed + len(seeds) - tried < beat * len(seeds)
            if hopeless or tried < len(seeds) and landed < (beat - FAR_BEHIND) * tried:
                break
        return landed / len(seeds), -costs / tried


def best_feedback(
    feedback: Feedback,
    trajectory: TargetTrajectory,
    looks: Looks,
    flaws: Flaws,
    random: np.random.Generator,
    enough: float,
    variations: int,
    tell: Callable[[float], None] = lambda share: None,
    design: Design | None = None,
) -> Chosen:
    """The trajectory with the gains under which most trials land.

    Tried are the gains it has, those of lqr.DESIGNS, or of the design that an earlier fit came to, and of so many
    variations of the best design, until a share of enough lands. Most are left after a first look. flaws: of a
    trajectory's performance, undisturbed. What lands undisturbed goes before what does not, and gains with more flaws
    than without any are left. tell: before each try the share of all tries that is over, and may raise.
    """
    race = _Race(feedback, trajectory, looks, flaws, enough, Chosen(trajectory, design=design))
    designs = DESIGNS if design is None else (design,)
    tries = len(designs) + variations
    if race.over:
        return race.best
    first: list[tuple[Landings, Chosen]] = []
    for own in designs:
        tell(len(first) / tries)
        one = race.following(own)
        first.append((looks.first(one.trajectory), one))
    first.sort(key=lambda each: each[0], reverse=True)
    for glance, one in first[:KEPT]:
        if not race.over:
            race.enter(glance, one)
    for tried in range(variations):
        if race.over:
            break
        tell((len(designs) + tried) / tries)
        one = race.following((race.best.design or designs[0]).varied(random))
        glance = looks.first(one.trajectory)
        if glance[0] >= race.glance - BEHIND:
            race.enter(glance, one)
    return race.winner()


class _Race:
    """The best of what was entered so far. glance: the share of trials that it lands in at a first look."""

    def __init__(
        self,
        feedback: Feedback,
        trajectory: TargetTrajectory,
        looks: Looks,
        flaws: Flaws,
        enough: float,
        begins: Chosen,
    ) -> None:
        self._feedback, self._trajectory, self._looks = feedback, trajectory, looks
        self._flaws, self._enough = flaws, enough
        self._models, self._without = feedback.models(), flaws(trajectory)
        self._most: Landings = (0.0, -np.inf)
        self.best, self.glance = begins, 0.0
        if trajectory.gains.size:
            self._most, self.glance = self._landings(trajectory), looks.first(trajectory)[0]
            self.best = dataclasses.replace(begins, lands=self._most[0])
        self._found = [self.best]
        self._sound = self._without is not None

    @property
    def over(self) -> bool:
        """Whether the best lands often enough, and undisturbed."""
        return self._sound and self.best.lands >= self._enough

    def following(self, design: Design) -> Chosen:
        """The trajectory with the gains of a design."""
        own = self._feedback.gains(self._models, design, self._trajectory.landed)
        return Chosen(dataclasses.replace(self._trajectory, gains=own), design=design)

    def enter(self, glance: Landings, one: Chosen) -> None:
        """Look longer at gains of which a first look is known, and take them where they are better than the best."""
        landed = self._landings(one.trajectory)
        if landed > self._most:
            self.best, self._most, self.glance = dataclasses.replace(one, lands=landed[0]), landed, glance[0]
            self._found.append(self.best)
            self._sound = landed[0] >= self._enough and self._lands(self.best)  # of what is not, it is asked at the end

    def _landings(self, trajectory: TargetTrajectory) -> Landings:
        """In a longer look; what seems to be better than the best is judged as a landing is: not all that land stand
        on."""
        landed = self._looks.longer(trajectory, self._most[0])
        return self._looks.judged(trajectory) if landed > self._most else landed

    def winner(self) -> Chosen:
        """The best that lands undisturbed; the very best, said not to land, where none does."""
        if self.over:
            return self.best
        for one in reversed(self._found[1:]):
            if self._lands(one):
                return one
        return self._found[0] if self._without is not None else dataclasses.replace(self.best, lands=0.0)

    def _lands(self, one: Chosen) -> bool:
        has = self._flaws(one.trajectory)
        return has is not None and (self._without is None or has <= self._without)
