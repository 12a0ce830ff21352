# SPDX-License-Identifier: GPL-3.0-or-later
"""Rounds of work on machines that come and go. Nothing here knows what the work is, nor what carries it.

A worker that is lost costs what it was at: a job that anybody can do is done again by another (scatter), what each does
for itself is left out (everyone). One that is late is not waited for. One that is new joins with the next round.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol

from ..workers import WorkerError

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.2  # between looks around while answers are waited for
LATE = 3.0  # times as long as half of the others took: then a worker is late
LATE_SECONDS = 1.0  # and by so much at least
ALONE_SECONDS = 60.0  # so long a new machine is waited for where none is left
NOBODY = "No machine of the cluster is left"

Ticket = Hashable  # of an answer that is awaited


class Lost(Exception):
    """The machine that was to answer is gone."""


class Machines(Protocol):
    """Workers elsewhere, each by its name."""

    def present(self) -> list[str]:
        """Those that are there and ready, new ones included."""

    def ask(self, name: str, method: str, arguments: tuple[Any, ...]) -> Ticket:
        """Have a worker's method called; a worker answers in the order in which it is asked."""

    def wait(self, tickets: Sequence[Ticket], seconds: float) -> list[Ticket]:
        """Those that have their answer, or have lost their machine, after so many seconds at most."""

    def answer(self, ticket: Ticket) -> Any:
        """An answer that is there. Raises Lost, and WorkerError with what the worker raised."""

    def drop(self, name: str) -> None:
        """Have nothing more to do with a worker."""

    def close(self) -> None:
        """End all workers."""


class Rounds:
    """Calls to all of some machines' workers, and to any of them. meanwhile: see workers.Pool."""

    def __init__(self, machines: Machines, meanwhile: Callable[[], None] | None = None) -> None:
        self.machines = machines
        self.meanwhile = meanwhile or (lambda: None)
        self.lost = self.repeated = 0  # workers, jobs
        self._busy: dict[str, Ticket] = {}  # late workers, with the answer that nobody wants any more
        self._state: dict[str, tuple[Any, ...]] = {}  # what every worker has to be told before it does anything
        self._version = 0
        self._told: dict[str, int] = {}

    def tell(self, method: str, *arguments: Any) -> None:
        """Have every worker called so before anything else, those that are yet to come too; the last call counts."""
        self._state.pop(method, None)
        self._state[method] = arguments
        self._version += 1

    def workers(self) -> list[str]:
        """Those that can be asked; where none is left, one is waited for. Raises WorkerError."""
        end = time.monotonic() + ALONE_SECONDS
        while True:
            self._collect_late()  # which may lose some
            present = self.machines.present()
            free = [name for name in present if name not in self._busy]
            if free or (present and self._busy and not self._wait_for_late(end)):
                return free or present
            if time.monotonic() > end:
                raise WorkerError(NOBODY)
            self.meanwhile()
            time.sleep(LOOK_SECONDS if not present else 0.0)

    def _wait_for_late(self, end: float) -> bool:
        """Every worker is late: wait for one. True: look again."""
        self.meanwhile()
        self.machines.wait(list(self._busy.values()), LOOK_SECONDS)
        return time.monotonic() < end

    def _collect_late(self) -> None:
        late = {ticket: name for name, ticket in self._busy.items()}
        for ticket in self.machines.wait(list(late), 0.0) if late else ():
            del self._busy[late[ticket]]
            try:
                self.machines.answer(ticket)
            except Lost:
                self._lose(late[ticket])
            except WorkerError as error:
                logger.warning("a late worker failed: %s", error)

    def _ask(self, name: str, method: str, arguments: tuple[Any, ...]) -> Ticket:
        if self._told.get(name) != self._version:
            for known, its in self._state.items():
                self.machines.ask(name, known, its)
            self._told[name] = self._version
        return self.machines.ask(name, method, arguments)

    def _lose(self, name: str) -> None:
        self.lost += 1
        self._told.pop(name, None)
        self._busy.pop(name, None)
        self.machines.drop(name)
        logger.warning("worker %s is lost; the rest go on", name)

    def everyone(self, method: str, *arguments: Any) -> list[Any]:
        """The same call to every worker; the answers of those that are neither lost nor late. Raises WorkerError."""
        while True:
            names = self.workers()
            answers = self._once({self._ask(name, method, arguments): name for name in names})
            if answers:
                return answers

    def _once(self, asked: dict[Ticket, str]) -> list[Any]:
        began, count, half = time.monotonic(), len(asked), 0.0
        answers: dict[str, Any] = {}
        while asked:
            for ticket in self._wait(asked):
                name = asked.pop(ticket)
                try:
                    answers[name] = self.machines.answer(ticket)
                except Lost:
                    self._lose(name)
            now = time.monotonic() - began
            if not half and 2 * len(answers) >= count:
                half = now
            if half and now > LATE * half + LATE_SECONDS:
                self._busy |= {name: ticket for ticket, name in asked.items()}
                break
        return [answers[name] for name in sorted(answers)]

    def scatter(self, method: str, jobs: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Every job done by one worker or another; answers in the jobs' order. Raises WorkerError.

        The same job has the same answer whoever does it, so that one that is lost or late is done again.
        """
        waiting = deque(range(len(jobs)))
        answers: dict[int, Any] = {}
        asked: dict[Ticket, tuple[str, int, float]] = {}
        took: list[float] = []
        free = deque(self.workers())
        while len(answers) < len(jobs):
            while free and (job := self._next(waiting, asked, took, answers)) is not None:
                name = free.popleft()
                asked[self._ask(name, method, jobs[job])] = (name, job, time.monotonic())
            if not asked:
                free.extend(self.workers())
                continue
            for ticket in self._wait(asked):
                name, job, began = asked.pop(ticket)
                try:
                    answer = self.machines.answer(ticket)
                except Lost:
                    self._lose(name)
                    if job not in answers and job not in waiting:
                        waiting.appendleft(job)
                        self.repeated += 1
                    continue
                answers.setdefault(job, answer)
                took.append(time.monotonic() - began)
                free.append(name)
        self._busy |= {name: ticket for ticket, (name, _, _) in asked.items()}
        return [answers[job] for job in range(len(jobs))]

    def _next(
        self,
        waiting: deque[int],
        asked: dict[Ticket, tuple[str, int, float]],
        took: list[float],
        answers: dict[int, Any],
    ) -> int | None:
        """The next job to be given out: one that waits, else one whose worker is late; None: there is none."""
        if waiting:
            return waiting.popleft()
        now = time.monotonic()
        limit = LATE * sorted(took)[len(took) // 2] + LATE_SECONDS if took else float("inf")
        doubled = [job for _, job, _ in asked.values()]
        for _, job, began in asked.values():
            if now - began > limit and job not in answers and doubled.count(job) == 1:
                self.repeated += 1
                return job
        return None

    def _wait(self, tickets: Sequence[Ticket] | dict[Ticket, Any]) -> list[Ticket]:
        self.meanwhile()
        return self.machines.wait(list(tickets), LOOK_SECONDS)

    def close(self) -> None:
        self.machines.close()


class ClusterPool:
    """workers.Workers on other machines, for workers that learn of every change by their methods: machines makes them.

    told: methods that change what a worker knows, and are called again on those that come later. own: methods whose
    arguments are each worker's own.
    """

    elsewhere = True

    def __init__(self, rounds: Rounds, told: Sequence[str] = ("follow",), own: Sequence[str] = ("seed",)) -> None:
        self.rounds = rounds
        self._told, self._own = tuple(told), tuple(own)

    def __len__(self) -> int:
        return max(len(self.rounds.machines.present()), 1)

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """The same call to every worker; the answers of those that are neither lost nor late."""
        if method in self._told:
            self.rounds.tell(method, *arguments)
            return []
        return self.rounds.everyone(method, *arguments)

    def share(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Calls that any worker can answer, each answered once, in their order; or one for each worker, of its own."""
        if method in self._own:
            for name, its in zip(self.rounds.workers(), arguments, strict=False):
                self.rounds.machines.ask(name, method, its)
            return []
        return self.rounds.scatter(method, arguments)

    def close(self) -> None:
        self.rounds.close()
