# SPDX-License-Identifier: GPL-3.0-or-later
"""The first phase of a run: a plan that lands, an earlier run's or one searched for now, harder with every attempt."""

from __future__ import annotations

import dataclasses
from contextlib import closing

import numpy as np

from ...core import metrics
from ...core.motion import Take
from ...jobs.messages import StageSaved, Warned
from ..imitation.compiled_rollouts import CompiledRollouts
from ..imitation.performance import Performance
from ..planning.landing import Landing, left_before_landing
from ..planning.mpc import Search
from ..planning.plan import Plan
from ..planning.search_settings import SearchSettings
from .inbox import Stopped
from .plan_files import PLAN_FILE, SEARCH_FILE, read_arrays, read_plan, write_arrays
from .run_context import RunContext, TimeIsUp, search_settings_for
from .story import Chapter, Story

# Shares of a search after which the plan so far is played as a take, a second each: dense early, sparse late, and of
# later searches fewer
STORY = (0.0, 0.05, 0.15, 0.35, 0.7)
LATER_STORY = (0.2, 0.6)
AGAIN = 0.1  # share of a search after which a plan that promises to land is played, when one before did not
HARDER = 1.5  # an attempt that failed is followed by one with so many more rollouts
MOST_SAMPLES = 256
IMPROVES_FOR = 0.5  # share of a run's time within which a better landing is looked for: feedback needs the rest
# metrics.unrest: a plan that is not finished ends a search only where it brings the body to rest
RESTS = 1.0
MOST_ATTEMPTS = 1000  # before a saved search
NO_LONGER_LANDS = "The plan saved earlier no longer lands; looking for another one."


class LandsAlready(Exception):
    """What is planned so far lands already, played to the end."""

    def __init__(self, take: Take) -> None:
        super().__init__()
        self.take = take


def find_landing_plan(run: RunContext, another: bool = False) -> Plan:
    """The plan of an earlier run, or one searched for now; of one that is to be steadied, the best of several ends
    unless the first settles without flaws. Raises what RunContext.progress() raises.

    another: of a search of its own, which comes after all that were; the saved plan stays.
    """
    known = None if another else _saved_plan_that_lands(run)
    if known is not None:
        return known
    settings = search_settings_for(run.settings.follow)
    with run.rollouts(run.track, settings.lost) as rollouts, closing(Story(run)) as story:
        search, attempt = _resumed_search(run, rollouts, settings)
        if another:
            attempt += 1
            search = _new_search(run, rollouts, settings, attempt)
        before, best = (attempt if another else 0), None
        while True:
            landing = _search_once(run, search, story, attempt)
            if landing and landing.better_than(best):
                best = landing
                if not another:
                    save_plan(run, best.plan)
            if best and (not has_time_to_improve(run) or best.enough(search.has_another_end, attempt - before)):
                _listen(run, story, wait=True)
                return best.plan
            if search.has_another_end:
                search.try_another_end()
                continue
            attempt += 1
            search = _new_search(run, rollouts, settings, attempt)
            (run.folder.stages / SEARCH_FILE).unlink(missing_ok=True)


def has_time_to_improve(run: RunContext) -> bool:
    """Whether a landing is to be a clean one, and there is time for a better one and for its feedback."""
    return run.steadies and run.seconds < IMPROVES_FOR * run.settings.minutes * 60.0


def saved_plan(run: RunContext) -> Plan | None:
    """The plan that is saved, whether it lands or not; a damaged one is set aside."""
    file = run.folder.stages / PLAN_FILE
    try:
        return read_plan(file, run.track)
    except ValueError as error:
        run.set_aside(file, error)
        return None


def _saved_plan_that_lands(run: RunContext) -> Plan | None:
    """The plan of an earlier run, if it still lands: another version's physics may differ."""
    plan = saved_plan(run)
    if plan is None:
        return None
    track = run.track
    performance = Performance(track, run.scene, track.states[0], run.engine)
    performance.run(track.targets(plan.offsets(0, track.steps), 0))
    take = performance.final_take()
    performance.close()
    if _ends_search(run, take, anywhere=True):
        return plan
    run.tell(Warned(message=NO_LONGER_LANDS))
    return None


def _new_search(run: RunContext, rollouts: CompiledRollouts, settings: SearchSettings, attempt: int) -> Search:
    """A search with so many failed ones before it."""
    # The exponent is bounded: a number that large is no more a number of samples
    harder = settings.harder(HARDER ** min(attempt, 20), MOST_SAMPLES)
    return Search(rollouts.track, rollouts, harder, run.scene, _seed(run, attempt), run.engine)


def _seed(run: RunContext, attempt: int) -> int:
    return run.settings.seed + 1000 * attempt


def _resumed_search(run: RunContext, rollouts: CompiledRollouts, settings: SearchSettings) -> tuple[Search, int]:
    """The search that an earlier run has saved, or a new one, and its attempt; a damaged one is set aside."""
    file = run.folder.stages / SEARCH_FILE
    try:
        arrays = read_arrays(file)
        if arrays is None:
            return _new_search(run, rollouts, settings, 0), 0
        attempt = arrays.get("attempt", np.zeros(1))
        if attempt.shape or attempt.dtype.kind not in "iu" or not 0 <= int(attempt) <= MOST_ATTEMPTS:
            raise ValueError(f"{file.name} is damaged: its take is not a number")
        search = _new_search(run, rollouts, settings, int(attempt))
        search.load_state(arrays)
        return search, int(attempt)
    except ValueError as error:
        run.set_aside(file, f"{SEARCH_FILE} cannot be gone on with: {error}")
        return _new_search(run, rollouts, settings, 0), 0


class _Telling:
    """Has what is planned so far of one search played: at shares of it, and, where the first landing will do, whenever
    it promises to land. That is played at once, and ends the search if it lands; all else is played beside it."""

    def __init__(self, run: RunContext, search: Search, story: Story, attempt: int, phase: str) -> None:
        self._run, self._search, self._story = run, search, story
        self._name, self._phase, self._seed = f"Take {attempt + 1}", phase, _seed(run, attempt)
        shares = LATER_STORY if attempt or search.end else STORY
        self._due = [share for share in shares if search.performed <= share * search.track.steps]
        self._tried = -AGAIN  # share that was planned when last a plan that promised to land was played
        self._promised = -1  # control steps that were performed when last a plan did

    def at(self, fraction: float) -> None:
        """When such a share of the search is planned: play what is due. Raises LandsAlready."""
        if self._due and fraction >= self._due[0]:
            search, track = self._search, self._search.track
            promises = self._promised == search.performed or search.promises(track.states[0])
            self._play(fraction, track.standing and promises)

    def promising(self) -> None:
        """When the plan promises to land. A landing that is to be a clean one is planned on: it comes to rest sooner.
        Raises LandsAlready."""
        self._promised, track = self._search.performed, self._search.track
        fraction = self._promised / track.steps
        if self._run.settings.stop_when_landed and track.standing and fraction >= self._tried + AGAIN:
            self._play(fraction, True)

    def _play(self, fraction: float, may_land: bool) -> None:
        run, search = self._run, self._search
        self._due = [share for share in self._due if share > fraction]
        planned = f"{round(fraction * 100)} % planned"
        search.control_steps += search.track.steps  # which it takes to play it
        told = {"seed": self._seed, "phase": f"{self._phase}, {planned}", "control_steps": run.control_steps}
        chapter = Chapter(f"{self._name}, {planned}", search.plan, run.takes.reserve(), told)
        if not may_land:
            self._story.begin(chapter)
            return
        self._tried = fraction
        take = self._story.played(chapter.plan)
        _tell_of(run, chapter, take)
        if _ends_search(run, take) and metrics.unrest(run.body, take) < RESTS:
            raise LandsAlready(take)


def _search_once(run: RunContext, search: Search, story: Story, attempt: int) -> Landing | None:
    """One search from where it is, frame 0 or a touchdown, to the end; its landing when that succeeded."""
    # A search is saved more often than its steps are told of
    run.control_steps = max(run.control_steps, search.control_steps)
    before = run.control_steps - search.control_steps
    phase = f"search, {ordinal(attempt + 1)} try" + (f", landing {search.end + 1}" if search.end else "")
    saved_at = search.performed
    telling = _Telling(run, search, story, attempt, phase)
    seed = _seed(run, attempt)

    def save() -> None:
        write_arrays(run.folder.stages / SEARCH_FILE, {**search.checkpoint(), "attempt": attempt})

    def tell(fraction: float, cost: float) -> None:
        nonlocal saved_at
        run.control_steps = before + search.control_steps
        wanted = run.inbox.checkpoints()
        if search.performed != saved_at or wanted:
            saved_at = search.performed
            save()
        for request in wanted:
            run.tell(StageSaved(file=SEARCH_FILE, phase="search", control_steps=run.control_steps))
            run.inbox.finish(request)
        telling.at(fraction)
        _listen(run, story)
        whole = search.track.steps / search.track.rate
        run.longest = max(run.longest, fraction * whole)
        run.progress("search", fraction, f"Longest so far {run.longest:.1f} of {whole:.1f} s", -cost)

    try:
        take = search.perform(tell=tell, promising=telling.promising).ended()
        run.control_steps = before + search.control_steps
        _listen(run, story, wait=True)
        name = f"Take {attempt + 1}" + (f", landing {search.end + 1}" if search.end else "")
        run.record(take, name, "search", seed=seed, phase=phase)
    except LandsAlready as landing:
        take = landing.take
    except (Stopped, TimeIsUp):
        story.close()
        save()
        name = f"Take {attempt + 1}, broken off"
        run.record(search.attempt().ended(), name, "search", seed=seed, phase=f"{phase}, broken off")
        raise
    anywhere = attempt > 0 and metrics.has_a_landing(run.body, run.reference)
    if _ends_search(run, take, anywhere):
        return Landing.of(run.body, run.reference, search.plan, take)
    if not anywhere and left_before_landing(run.track, metrics.evaluate_take(run.body, run.reference, take)):
        search.give_up_ends()
    return None


def _listen(run: RunContext, story: Story, wait: bool = False) -> None:
    """Record what has been played of a search's story; wait: all of it. Raises what RunContext.check() raises."""
    while heard := story.heard(wait):
        _tell_of(run, *heard)


def _tell_of(run: RunContext, chapter: Chapter, take: Take) -> None:
    run.record(take, chapter.name, "search", **chapter.told, number=chapter.number)


def ordinal(number: int) -> str:
    """first, second, third, 4th, 21st."""
    ending = "th" if 10 < number % 100 < 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}{ending}")


def _ends_search(run: RunContext, take: Take, anywhere: bool = False) -> bool:
    """Whether a plan that led to this take is one to end with, or to learn from.

    A policy is taught to catch itself, so it may learn from a plan whose body topples after the take's end. anywhere:
    so may be one that landed elsewhere than its clip, where there is something to land: after a whole search that
    found no other, a landing elsewhere is worth more than none.
    """
    if run.learns:
        take = dataclasses.replace(take, meta={})
    measures = metrics.evaluate_take(run.body, run.reference, take)
    if anywhere and measures.landed and metrics.has_a_landing(run.body, run.reference):
        return True
    return metrics.is_success(measures)


def save_plan(run: RunContext, plan: Plan) -> None:
    write_arrays(run.folder.stages / PLAN_FILE, {"knots": plan.knots, "knot": plan.knot})
    run.tell(StageSaved(file=PLAN_FILE, phase="search", control_steps=run.control_steps))
