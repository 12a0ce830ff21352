# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines of a cluster that are none."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from backflip_addon.trainer.cluster.rounds import Lost
from backflip_addon.trainer.workers import WorkerError


class StandIns:
    """Machines in this process. late: name -> seconds until an answer; dying: name -> calls until it is lost."""

    def __init__(self, make: Callable[..., Any], arguments: tuple[Any, ...], names: Sequence[str] = ("a", "b")) -> None:
        self.make = lambda: make(*arguments)
        self.held = {name: self.make() for name in names}
        self.late: dict[str, float] = {}
        self.dying: dict[str, int] = {}
        self.asked: list[tuple[str, str]] = []
        self.answers: dict[int, tuple[float, Any]] = {}

    def join(self, name: str) -> None:
        self.held[name] = self.make()

    def present(self) -> list[str]:
        return sorted(self.held)

    def ask(self, name: str, method: str, arguments: tuple[Any, ...]) -> int:
        self.asked.append((name, method))
        self.dying[name] = self.dying.get(name, 1000) - 1
        answer: Any
        if self.dying[name] < 0:
            answer = Lost(name)
        else:
            try:
                answer = getattr(self.held[name], method)(*arguments)
            except ValueError as error:
                answer = WorkerError(str(error))
        self.answers[len(self.asked)] = (time.monotonic() + self.late.get(name, 0.0), answer)
        return len(self.asked)

    def wait(self, tickets: Sequence[Any], seconds: float) -> list[Any]:
        end = time.monotonic() + min(seconds, 0.02)
        while True:
            done = [ticket for ticket in tickets if self.answers[ticket][0] <= time.monotonic()]
            if done or time.monotonic() >= end:
                return done
            time.sleep(0.002)

    def answer(self, ticket: Any) -> Any:
        answer = self.answers[ticket][1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def drop(self, name: str) -> None:
        del self.held[name]

    def close(self) -> None:
        self.held.clear()
