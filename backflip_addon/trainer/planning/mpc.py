# SPDX-License-Identifier: GPL-3.0-or-later
"""Model predictive control by sampling: from a reference to a performed take, without a network.

Controls are PD targets around the reference (imitation.reference_track). Their offsets are knots on a fixed grid,
linear between. In each window an evolution strategy (evolution.py) refines the knots of the next horizon steps by
rollouts from the present state in the compiled step; then a few steps are performed and the window moves. The
performance happens in one world that is only ever stepped forward from frame 0.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ...core.arrays import Array, IntArray
from ...core.direction import Direction
from ...core.motion import Take
from ..imitation.compiled_rollouts import Rolled
from ..imitation.cost import Weights
from ..imitation.disturbances import shaken
from ..imitation.onward import both_feet_down, onward
from ..imitation.performance import Performance
from ..imitation.reference_track import Track
from ..physics.engines import AUTO, EngineName
from ..physics.state import Scene, States, stacked
from .evolution import KnotDistribution, iterate
from .noise import Mirror, PlantedFeet
from .plan import KnotGrid, Plan, interpolate, knots_along
from .search_settings import CopyNoise, Refining, SearchSettings
from .settling import Settling

logger = logging.getLogger(__name__)

MOST_STEPS = 10**15  # control steps that a job can have come to
GOOD_FROM = 0.25  # share of a track below which its open-loop end is not even tried
LAST_STEPS = 10  # of an open-loop rollout: they tell how it ends
GOOD_END = 1.5  # mean cost of those steps: what ends worse is down, or far off
ABSORBED = 0.2  # s after a body has come down in which it hops, or does not: they are planned in small steps
CAUGHT = 0.4  # s after a body has come down from which on a regulator can bring it to rest
RESTS = 1.5  # mean cost of what brings a body to rest; what costs more is fitted anew a little later
FITS = 2  # after one touchdown
SETTLING = 1.0  # s after the last touchdown by which a body stands
EFFORT = Weights().effort
QUIET_PATIENCE = 3  # stale rounds in a row after which a quiet window is done
LEGS = ("thigh", "shin", "foot")
Tell = Callable[[float, float], None]  # share of the track performed, best cost of the window


@dataclasses.dataclass
class Onward:
    """The reference from where a body has come down at a control step: its track, the offsets (T - step, width), rad,
    that lead along it, and what brings the body to rest, once that is fitted."""

    track: Track
    step: int
    offsets: Array
    settling: Settling | None = None
    fits: int = 0

    @property
    def rests(self) -> bool:
        """Whether that does it, or won't be tried on any more."""
        return self.fits == FITS or self.settling is not None and self.settling.cost < RESTS


class Rollouts(Protocol):
    """What tries candidates: imitation.compiled_rollouts.CompiledRollouts."""

    def __call__(
        self, starts: States, scenes: list[Scene], first: int | IntArray, offsets: Array, before: Array | None = None
    ) -> Rolled:
        """Roll out offsets (N, H, width), rad, from control step first. before (N, width) or (width,): those of the
        step before."""

    def follow(self, track: Track) -> None:
        """Go on with other goals for the same controls."""


class Search:
    """Plans a take along one track in one scene, performed in an engine (physics.engines).

    control_steps: simulated so far. costs: of each window's best rollout. end: how many ends were tried before the
    present one.
    """

    def __init__(
        self,
        track: Track,
        rollouts: Rollouts,
        settings: SearchSettings | None = None,
        scene: Scene | None = None,
        seed: int = 0,
        engine: EngineName = AUTO,
        direction: Direction | None = None,
    ) -> None:
        self.settings = settings or SearchSettings()
        self.scene, self.engine = scene or Scene(), engine
        self._directed = direction, seed  # what performances are to bear, besides their scene
        self.track, self.rollouts = track, rollouts
        self.control_steps = 0
        self._random = np.random.default_rng(seed)
        self.grid = KnotGrid(self.track.steps, self.settings.knot, self.settings.horizon, track.standing)
        self._mirror = Mirror(track.body, track.layout, self.settings.symmetric)
        self._feet = PlantedFeet(track, self.grid.count, self.settings.knot)
        shape = (self.grid.count, self.track.layout.width)
        landed = (np.arange(self.grid.count) * self.settings.knot - track.landed) / (SETTLING * track.rate)
        self._boldness = (1 - (1 - self.settings.calm) * np.clip(landed, 0.0, 1.0))[:, None]
        deviation = self.settings.new_deviation * self._boldness
        self._distribution = KnotDistribution(np.zeros(shape), np.broadcast_to(deviation, shape).copy())
        columns = track.layout.columns.items()  # of the joints that move: a foot may be fixed
        self._legs = np.array([c for i, own in columns if track.body.names[i].startswith(LEGS) for c in own], dtype=int)
        self.costs: list[float] = []
        self._strides: list[int] = []  # control steps that were performed at once, window by window
        self.end = 0
        self._onward: Onward | None = None  # what is left of the reference once the body has come down

    @property
    def performed(self) -> int:
        """Control steps whose controls are final."""
        return sum(self._strides)

    def start_from(self, plan: Plan) -> None:
        """Warm start: refine an older plan instead of the bare reference."""
        count = min(len(plan.knots), self.grid.count)
        self._distribution.mean[:count] = plan.knots[:count]
        self._distribution.deviation[:] = self.settings.deviation * self._boldness

    @property
    def plan(self) -> Plan:
        """What is planned so far."""
        return Plan(self._distribution.mean.copy(), self.settings.knot)

    def perform(
        self,
        start: States | None = None,
        tell: Tell | None = None,
        good: Callable[[Take], bool] | None = None,
        promising: Callable[[], None] | None = None,
    ) -> Performance:
        """Search and perform the track from its first state, or another, to its end.

        Ends early when the character is lost past hope, or, where good is given, when the plan so far, played open loop
        to the end, is already good. promising is called after a window that leaves a plan which promises() as much.
        tell is called after every round; both may raise to break the search off. What is performed so far is in
        self.performed steps.
        """
        performance = self._new_performance(self.scene, start)
        self._repeat(performance)
        nothing_planned = not self._distribution.mean.any()
        if good and nothing_planned and (attempt := self._good_attempt(performance, start, good)):
            return attempt  # the servos alone will do
        while self.performed < self.track.steps and not performance.lost(2 * self.settings.lost):
            first = self.performed
            here = performance.state()
            self._follow_onward(here, first)
            self._refine(here, first, tell)
            count = self._stride(first)
            performance.run(self._targets(first, count))
            self.control_steps += count
            self._strides.append(count)
            if good and (attempt := self._good_attempt(performance, start, good)):
                return attempt
            if promising and self.promises(performance.state(), self.performed):
                promising()
        return performance

    def _repeat(self, performance: Performance) -> None:
        """Perform what is known already: the past of a search that is resumed, or tries another end."""
        self._onward = None
        self.rollouts.follow(self.track)
        first = 0
        for count in self._strides:
            self._follow_onward(performance.state(), first)
            performance.run(self._targets(first, count))
            first += count

    def _stride(self, first: int) -> int:
        """Control steps that are performed at once, from a step on: once the landing is absorbed fewer changes of mind
        sway less, and where a clip is followed easily they are not worth their rollouts. No touchdown is passed by."""
        s, landed = self.settings, self.track.landed
        down = self._onward and first >= self._onward.step + ABSORBED * self.track.rate
        easy = self.costs[-1] <= (s.quiet if self.track.leaps[first] else s.easy)
        if down or easy and not first < landed < first + s.execute_easy:
            return min(s.execute_easy, self.track.steps - first)
        return min(s.execute, self.track.steps - first)

    def _follow_onward(self, here: States, first: int) -> None:
        """Once the body has come down, follow what is left of the reference from there; once that is caught, find out
        what brings it to rest."""
        due = self.track.flies and self._onward is None and first >= self.track.landed
        if due and both_feet_down(self.track, here, self.scene.floor):
            track, offsets = onward(self.track, here, first, self.scene.floor)
            self.rollouts.follow(track)
            self._onward = Onward(track, first, offsets)
        on = self._onward
        if on and not on.rests and CAUGHT * self.track.rate <= first - on.step < self.track.steps - on.step:
            on.settling, on.fits = self._settling(on, here, first), on.fits + 1

    def _settling(self, on: Onward, here: States, first: int) -> Settling:
        """What brings a body to rest that has been caught."""
        random = np.random.default_rng(first)  # and of no seed: a search that is taken up comes to the same
        settling = Settling(on.track, self.rollouts, self.scene, random)
        offsets = np.concatenate([self._offset_before(first)[None], on.offsets[first - on.step :]])
        settling.fit(here, first, offsets)
        self.control_steps += settling.steps
        return settling

    @property
    def has_another_end(self) -> bool:
        """Whether the body has come down on its feet, and not too many ends were tried: its start is half of the
        work."""
        return self._onward is not None and self.end < self.settings.other_ends

    def give_up_ends(self) -> None:
        """No other end is to be tried: what was planned before the touchdown is at fault."""
        self.end = self.settings.other_ends

    def try_another_end(self) -> None:
        """Forget what was planned from the last touchdown on; perform() then plans it anew, with other noise."""
        self.end += 1
        while self.performed > self.track.landed:
            self._strides.pop()
        ahead = slice(self.performed // self.settings.knot + 1, None)
        self._distribution.mean[ahead] = 0.0
        self._distribution.deviation[ahead] = self.settings.new_deviation * self._boldness[ahead]

    def _good_attempt(
        self, performance: Performance, start: States | None, good: Callable[[Take], bool]
    ) -> Performance | None:
        """The plan so far played open loop to the end, where that looks promising and is good: as from the first state,
        by a branch of the performance where its engine can make one."""
        if not self.promises(performance.state(), self.performed):
            return None
        attempt = performance.branch() or self._new_performance(self.scene, start)
        while attempt.step < self.track.steps and not attempt.lost(2 * self.settings.lost):
            self._run(attempt, LAST_STEPS)
        if attempt.step < self.track.steps or not good(attempt.final_take()):
            attempt.close()
            return None
        logger.info("good enough at step %d of %d", self.performed, self.track.steps)
        return attempt

    def _run(self, performance: Performance, most: int) -> None:
        """Perform the present plan open loop, so many control steps at most."""
        count = min(most, self.track.steps - performance.step)
        performance.run(self._targets(performance.step, count))
        self.control_steps += count

    def promises(self, here: States, first: int = 0) -> bool:
        """Whether the plan, rolled out open loop from a state at a control step to the end, ends well enough to be
        performed."""
        last = self.track.steps
        if 0 < first < GOOD_FROM * last or first >= last:
            return False
        offsets = interpolate(self._distribution.mean, self.settings.knot, first, last - first)
        rolled = self.rollouts(here[None], [self.scene], first, offsets[None], self._before(first))
        self.control_steps += rolled.steps
        return bool(rolled.costs[0, -LAST_STEPS:].mean() < GOOD_END)

    def attempt(self, scene: Scene | None = None, start: States | None = None) -> Performance:
        """Play the present plan open loop from the first state to the end, wherever that leads."""
        performance = self._new_performance(scene or self.scene, start)
        self._run(performance, self.track.steps)
        return performance

    def _new_performance(self, scene: Scene, start: States | None) -> Performance:
        return Performance(self.track, scene, start or self.track.states[0], self.engine, *self._directed)

    def _targets(self, first: int, count: int) -> Array:
        return self.track.targets(interpolate(self._distribution.mean, self.settings.knot, first, count), first)

    def checkpoint(self) -> dict[str, Any]:
        """Everything needed to go on from here in another process: arrays and numbers."""
        return {
            "mean": self._distribution.mean.copy(),
            "deviation": self._distribution.deviation.copy(),
            "costs": np.array(self.costs),
            "strides": np.array(self._strides, dtype=int),
            "control_steps": self.control_steps,
            "random": json.dumps(self._random.bit_generator.state),
        }

    def load_state(self, checkpoint: dict[str, Any]) -> None:
        """Go on from a checkpoint() of a search with the same body, reference and settings.

        Raises ValueError when it does not fit or makes no sense; then this search is as it was.
        """
        try:
            mean, deviation = (np.array(checkpoint[name], dtype=float) for name in ("mean", "deviation"))
            costs = [float(cost) for cost in checkpoint["costs"]]
            strides, control_steps = [int(n) for n in checkpoint["strides"]], int(checkpoint["control_steps"])
            random = np.random.default_rng()
            random.bit_generator.state = json.loads(str(checkpoint["random"]))
        except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise ValueError(f"what was planned so far is damaged ({error})") from error
        shape = self._distribution.mean.shape
        if mean.shape != shape or deviation.shape != shape:
            raise ValueError("what was planned so far belongs to another body or clip")
        sound = np.isfinite(mean).all() and np.isfinite(deviation).all() and (deviation > 0).all()
        forward = all(n > 0 for n in strides) and sum(strides) <= self.track.steps
        if not sound or not forward or not 0 <= control_steps <= MOST_STEPS:
            raise ValueError("what was planned so far is damaged: its numbers make no sense")
        self._distribution, self.costs = KnotDistribution(mean, deviation), costs
        self._strides, self.control_steps, self._random = strides, control_steps, random

    @property
    def _refining(self) -> Refining:
        """How the present window is refined."""
        s = self.settings
        return s.caught if self._onward else s.refining if self.track.leaps[self.performed] else s.grounded

    def _refine(self, here: States, first: int, tell: Tell | None) -> None:
        """Refine the knots of one window in place, from the present state (no leading axis)."""
        s, how, plan = self.settings, self._refining, self._distribution
        window = self.grid.window(first, first == 0)
        plan.mean[window] = self._first_guess(here, first, window)[window]
        best, best_cost, stale = plan.mean.copy(), np.inf, 0
        least = s.least_deviation * self._boldness[window]

        def evaluate(knots: Array) -> Array:
            return self._evaluate(here, first, knots)

        for done in range(1, 1 + (how.rounds if first else s.first_rounds)):
            known = plan.mean[None] if np.isinf(best_cost) else np.stack([plan.mean, best])
            drawn = self._mirror.draw(plan, window, how.samples - len(known), self._random)
            self._feet.condition(drawn, plan, window, self._random)
            cost, cheapest = iterate(plan, window, known, drawn, evaluate, least)
            improvement = (best_cost - cost) / max(best_cost, s.fair) if np.isfinite(best_cost) else 1.0
            if cost < best_cost:
                best_cost, best = cost, cheapest
            if tell:
                tell(first / self.track.steps, best_cost)
            stale = stale + 1 if improvement < s.improvement else 0
            patience = how.patience if best_cost > s.quiet else min(how.patience, QUIET_PATIENCE)
            if stale >= patience or first and done >= s.grounded.rounds and best_cost <= s.plain:
                break
        self._choose(here, first, window, best)
        plan.deviation[window] = np.maximum(plan.deviation[window], s.deviation * self._boldness[window])
        self.costs.append(best_cost)
        logger.debug("window at step %d: cost %.4f, %d stale rounds", first, best_cost, stale)

    def _first_guess(self, here: States, first: int, window: slice) -> Array:
        """Knots (K, width) to begin a window with: those that bring a landed body to rest, or lead it onward, those so
        far, none, or, where they do better, those that keep the legs, or all joints, as far off the clip's as they are
        now: feet that stand elsewhere than the clip's would be dragged to its places."""
        mean = self._distribution.mean
        off = self.track.layout.offsets_to(self.track.controls[first], here.rotations)
        legs = np.zeros_like(off)
        legs[self._legs] = off[self._legs]
        guesses = [
            mean[window],
            *(np.broadcast_to(each, mean[window].shape) for each in (np.zeros_like(off), legs, off)),
        ]
        options = np.repeat(mean[None], len(guesses), axis=0)
        options[:, window] = np.stack(guesses)
        if self._onward is not None:
            options = np.concatenate([np.stack(self._onward_guesses(self._onward, here, first)), options])
        chosen: Array = options[self._plainest(here, first, options)]
        return chosen

    def _onward_guesses(self, on: Onward, here: States, first: int) -> list[Array]:
        """Knots (K, width) that lead onward from a landing; and before them those that bring it to rest."""
        mean, spacing = self._distribution.mean, self.settings.knot
        guesses = [knots_along(mean, spacing, first, on.offsets[first - on.step :])]
        if on.settling:
            steps = on.settling.steps
            offsets = on.settling.offsets(here, first, self._offset_before(first))
            self.control_steps += on.settling.steps - steps
            if np.isfinite(offsets).all():
                guesses.insert(0, knots_along(mean, spacing, first, offsets))
        return guesses

    def _choose(self, here: States, first: int, window: slice, best: Array) -> None:
        """The plainer of two that is nearly as good as the better: the mean of what was learned, and the best
        candidate, which has its noise in it."""
        options = np.stack([self._distribution.mean, best])
        self._distribution.mean[window] = options[self._plainest(here, first, options)][window]

    def _plainest(self, here: States, first: int, options: Array) -> int:
        """The first of options (N, K, width) that costs no more than near_best above the cheapest."""
        costs = self._evaluate(here, first, options)
        return int(np.flatnonzero(costs <= (1 + self.settings.near_best) * costs.min())[0])

    def _evaluate(self, here: States, first: int, knots: Array) -> Array:
        """Mean costs (N,) of knots (N, K, width) over the copies."""
        offsets = interpolate(knots, self.settings.knot, first, self.grid.ahead(first))
        starts, scenes = self._copies(here)
        copies = len(scenes)
        if copies > 1:
            starts = stacked([starts[k] for _ in offsets for k in range(copies)])
        rolled = self.rollouts(
            starts,
            scenes * (len(offsets) if copies > 1 else 1),
            first,
            np.repeat(offsets, copies, 0),
            self._before(first),
        )
        self.control_steps += rolled.steps
        costs: Array = rolled.costs.mean(axis=1).reshape(len(offsets), copies).mean(axis=1)
        costs += EFFORT * np.mean(offsets**2, axis=(1, 2))
        return costs

    def _before(self, first: int) -> Array | None:
        """The offsets (width,) of the control step before, which are final; None: there is none."""
        return self._offset_before(first) if first else None

    def _offset_before(self, first: int) -> Array:
        """The offsets (width,) of the control step before a step that is not the first."""
        offsets: Array = interpolate(self._distribution.mean, self.settings.knot, first - 1, 1)[0]
        return offsets

    def _copies(self, here: States) -> tuple[States, list[Scene]]:
        """States (C,) and scenes to try candidates in: the present one first, but for its grip."""
        noise, random = CopyNoise(), self._random
        planned = dataclasses.replace(self.scene, friction=self.settings.grip * self.scene.friction)
        states, scenes = [here], [planned]
        for _ in range(1, self._refining.copies):
            states.append(shaken(here, random, noise.pose, noise.velocity, noise.spin))
            friction, floor, mass = random.uniform(-1, 1, 3) * (noise.friction, noise.floor, noise.mass)
            own = planned
            own = dataclasses.replace(own, friction=own.friction + friction, floor=own.floor + floor)
            scenes.append(dataclasses.replace(own, mass=own.mass * (1 + mass)))
        return stacked(states), scenes
