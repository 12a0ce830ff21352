# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads of our own, and how many numpy's and torch's libraries may work with. Standard library alone: they read it on
import."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Self, TypeVar

_Result = TypeVar("_Result")

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def one_thread_each() -> None:
    """One thread a process, unless the environment names another number. The cores are for our own threads and workers;
    and the sums of several threads come out differently from run to run, and with them the takes of a seed."""
    for name, number in ONE_THREAD.items():
        os.environ.setdefault(name, number)


class Threads:
    """What shares its work out over so many threads, the caller's own among them: to wake one takes half a
    millisecond. To be closed."""

    def __init__(self, count: int) -> None:
        self._count = max(count, 1)
        self._others = ThreadPoolExecutor(self._count - 1) if self._count > 1 else None

    def in_threads(self, work: Callable[[int], _Result]) -> list[_Result]:
        """What work says of 0, 1, ... count - 1, each in a thread of its own. Raises what the first of them raises."""
        if self._others is None:
            return [work(0)]
        others = [self._others.submit(work, index) for index in range(1, self._count)]
        try:
            own = work(0)
        finally:
            wait(others)
        return [own, *(other.result() for other in others)]

    def close(self) -> None:
        """End the threads."""
        if self._others:
            self._others.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
