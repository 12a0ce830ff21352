# SPDX-License-Identifier: GPL-3.0-or-later
"""Worker processes for the physics, one a core, each with a world of its own.

A worker is told what to do over its pipe by name: a method of the object it holds. Nothing here
knows what the work is.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


class WorkerError(RuntimeError):
    """A worker failed; the message holds its traceback."""


class Pool:
    """count processes, each with its own make(*arguments)."""

    def __init__(self, count: int, make: Callable[..., Any], *arguments: Any) -> None:
        # A worker has one core: numpy's and torch's own threads would only fight for it. Read on import
        for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, "1")
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for index in range(max(count, 1)):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, index, count, make, arguments), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def __len__(self) -> int:
        return len(self._pipes)

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """The same call to every worker; answers in the workers' order."""
        return self.share(method, [arguments] * len(self))

    def share(self, method: str, arguments: list[tuple]) -> list[Any]:
        """One call a worker, each with its own arguments; at most as many as there are workers."""
        pipes = self._pipes[: len(arguments)]
        for pipe, own in zip(pipes, arguments, strict=True):
            self._send(pipe, (method, own))
        return [self._receive(pipe) for pipe in pipes]

    def close(self) -> None:
        for pipe in self._pipes:
            with contextlib.suppress(OSError):
                pipe.send(None)
            pipe.close()
        for process in self._processes:
            process.join(timeout=2)
            if process.is_alive():
                process.kill()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, pipe: Connection, message: Any) -> None:
        try:
            pipe.send(message)
        except OSError as error:
            raise WorkerError("a physics worker is gone") from error

    def _receive(self, pipe: Connection) -> Any:
        try:
            good, answer = pipe.recv()
        except (EOFError, OSError) as error:
            raise WorkerError("a physics worker died; memory may have run out") from error
        if not good:
            raise WorkerError(answer)
        return answer


def core_count() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _serve(pipe: Connection, index: int, count: int, make: Callable[..., Any], arguments: tuple) -> None:
    """A worker's life: make the object, then obey until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the trainer's to handle
    _pin(index, count)
    worker = make(*arguments)
    while True:
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            return  # the trainer is gone, and with it every reason to go on
        if message is None:
            return
        method, own = message
        try:
            answer = (True, getattr(worker, method)(*own))
        except Exception:
            answer = (False, traceback.format_exc())
        pipe.send(answer)


def _pin(index: int, count: int) -> None:
    """One worker a core, where the system lets us say so and there are cores for all."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if 1 < count <= len(cores):
            os.sched_setaffinity(0, {cores[index]})
