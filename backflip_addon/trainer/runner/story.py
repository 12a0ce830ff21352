# SPDX-License-Identifier: GPL-3.0-or-later
"""A search's story: what its plan so far performs, to the end and into its fall, played beside the search.

It is played in other processes where there are cores for them, which give way to the search. Which takes there are, and
their numbers, is as if the search had played each itself.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Any

from ...core.motion import Take
from ..planning.plan import Plan, PlanPlayer, take_of_plan
from ..workers import LOOK_SECONDS, Pool, WorkerError, core_count
from .run_context import RunContext

logger = logging.getLogger(__name__)

MOST = 4  # processes, each with a take: of a short search that is all there is


@dataclasses.dataclass(frozen=True)
class Chapter:
    """A take of a search under way: its name, its plan, its number, and what else is told of it."""

    name: str
    plan: Plan
    number: int
    told: dict[str, Any]


class Story:
    """Chapters of a run's searches in the order in which they were begun; to be closed."""

    def __init__(self, run: RunContext) -> None:
        self._run = run
        self._chapters: deque[tuple[Chapter, Future[Take]]] = deque()
        # Threads wait for a process each, so that the search need not; with one core it would only be in its way
        count = min(run.workers, core_count(), MOST)  # a cluster's cores are not here
        self._threads = ThreadPoolExecutor(count, "backflip-story") if count > 1 else None
        self._own = threading.local()  # a thread's process
        self._pools: list[Pool] = []
        self._over = threading.Event()

    def begin(self, chapter: Chapter) -> None:
        """Have a plan played."""
        if self._threads:
            self._chapters.append((chapter, self._threads.submit(self._narrated, chapter.plan)))
            return
        take: Future[Take] = Future()
        take.set_result(self.played(chapter.plan))
        self._chapters.append((chapter, take))

    def heard(self, wait: bool = False) -> tuple[Chapter, Take] | None:
        """The next chapter and its take, where that has been played; wait: until it is. None: there is none. Raises
        what RunContext.check() raises."""
        if not self._chapters or not wait and not self._chapters[0][1].done():
            return None
        chapter, take = self._chapters[0]
        while True:
            try:
                told = take.result(LOOK_SECONDS)
                break
            except NotYet:
                self._run.check()
            except (WorkerError, OSError) as error:  # where memory has run out, one at a time may fit
                logger.warning("a take of the search is played by the search itself: %s", error)
                told = self.played(chapter.plan)
                break
        self._chapters.popleft()
        return chapter, told

    def close(self) -> None:
        """End what plays, wherever it is; nobody wants to hear the rest."""
        self._over.set()
        for _, take in self._chapters:
            take.cancel()
        self._chapters.clear()
        if self._threads:
            self._threads.shutdown()
        for pool in self._pools:
            pool.close()

    def played(self, plan: Plan) -> Take:
        """What a plan performs, played at once. Raises what RunContext.check() raises."""
        run = self._run
        return take_of_plan(run.track, plan, run.scene, run.engine, meanwhile=run.check)

    def _narrated(self, plan: Plan) -> Take:
        pool: Pool | None = getattr(self._own, "pool", None)
        if pool is None:
            run = self._run
            pool = self._own.pool = Pool(1, PlanPlayer, run.track, run.scene, run.engine, True, meanwhile=self._look)
            self._pools.append(pool)
        take: Take = pool.share("play", [(plan,)])[0]
        return take

    def _look(self) -> None:
        if self._over.is_set():
            raise WorkerError("nobody waits for it")
