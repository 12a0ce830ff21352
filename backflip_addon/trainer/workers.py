# SPDX-License-Identifier: GPL-3.0-or-later
"""Worker processes for the physics, one a core, each with a world of its own.

A worker is told what to do over its pipe by name: a method of the object it holds. Nothing here
knows what the work is. The trainer never waits without end: while it waits it looks around (a stop
may be asked for), and a worker that neither answers nor computes is given up.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, Protocol

from .threads import one_thread_each

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.2  # between looks around while workers are waited for
# A worker that is silent for so long while it used no processor time hangs or was stopped. Counted in
# looks, not by the clock: a computer that was asleep has not waited
SILENT_SECONDS = 60.0
LONGEST_SILENCE = 1800.0  # where the system does not tell processor times
CLOSE_SECONDS = 2.0  # that all workers together get to end by themselves
SMALL_MESSAGE = 8_000  # bytes that always fit into an empty pipe
PARENT_DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG


class WorkerError(RuntimeError):
    """A worker failed; the message holds its traceback."""


class Workers(Protocol):
    """What holds a worker object many times over, and calls its methods by name: processes here (Pool), or elsewhere.

    Both calls raise WorkerError where a worker fails. elsewhere: on other machines, too, whose cores are no use to
    the trainer itself.
    """

    elsewhere: bool

    def __len__(self) -> int:
        """How many workers there are."""

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """The same call to every worker; answers in the workers' order."""

    def share(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """One call a worker, each with its own arguments, to at most as many as there are; answers in their order."""

    def close(self) -> None:
        """End the workers."""


class Pool:
    """Workers as processes of this computer: count of them, each with its own make(*arguments).

    meanwhile is called every LOOK_SECONDS while workers are started or waited for. It may raise to break a
    call off; what the workers still answer to that call is thrown away.
    """

    elsewhere = False

    def __init__(
        self, count: int, make: Callable[..., Any], *arguments: Any, meanwhile: Callable[[], None] | None = None
    ) -> None:
        one_thread_each()
        context = multiprocessing.get_context("spawn")
        self._meanwhile = meanwhile or (lambda: None)
        self._pipes: list[Connection] = []
        self._processes: list[BaseProcess] = []
        self._owed: list[int] = []  # answers that each worker has yet to give
        try:
            for index in range(max(count, 1)):
                self._meanwhile()
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs, index, count), daemon=True)
                process.start()  # what is sent with it has to be small: one that dies early is waited for without end
                theirs.close()
                self._pipes.append(ours)
                self._processes.append(process)
                self._owed.append(0)
            for index in range(len(self)):
                self._deliver(index, (make, arguments))
        except BaseException:
            self.close()
            raise
        logger.debug("%d workers are started", len(self))

    def __len__(self) -> int:
        return len(self._pipes)

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """The same call to every worker; answers in the workers' order."""
        return self.share(method, [arguments] * len(self))

    def share(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """One call a worker, each with its own arguments; at most as many as there are workers.

        Raises WorkerError, and whatever meanwhile raises.
        """
        workers = range(len(arguments))
        for index in workers:
            while self._owed[index]:  # to a call that was broken off
                self._receive(index)
        for index in workers:
            self._send(index, (method, arguments[index]))
        answers = [self._receive(index) for index in workers]
        for good, answer in answers:
            if not good:
                raise WorkerError(answer)
        return [answer for _, answer in answers]

    def close(self) -> None:
        """End the workers; those that are busy, hang or were stopped are killed."""
        busy = sum(owed > 0 for owed in self._owed)
        if busy:
            logger.debug("%d workers that are busy or hang are killed", busy)
        for process, owed in zip(self._processes, self._owed, strict=True):
            if owed:
                process.kill()
                process.join(timeout=CLOSE_SECONDS)
        for pipe in self._pipes:
            pipe.close()  # the end of the pipe is the end of the work
        end = time.monotonic() + CLOSE_SECONDS
        for process in self._processes:
            process.join(timeout=max(end - time.monotonic(), 0))
            if process.is_alive():
                process.kill()
                process.join()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, index: int, message: Any) -> None:
        """Deliver what is to be answered."""
        self._owed[index] += 1
        self._deliver(index, message)

    def _deliver(self, index: int, message: Any) -> None:
        data = bytes(ForkingPickler.dumps(message))
        if len(data) <= SMALL_MESSAGE:
            self._write(index, data)
            return
        # A worker that was stopped leaves its pipe full, and writing to it would wait for ever
        writer = threading.Thread(target=self._write, args=(index, data), daemon=True)
        writer.start()

        def written() -> bool:
            writer.join(LOOK_SECONDS)
            return not writer.is_alive()

        self._wait(index, written)

    def _write(self, index: int, data: bytes) -> None:
        # A worker that is gone has left word, which _receive() finds; a pipe that is closed meanwhile has no handle
        with contextlib.suppress(OSError, TypeError):
            self._pipes[index].send_bytes(data)

    def _receive(self, index: int) -> tuple[bool, Any]:
        """A worker's next answer: (True, what the method returned) or (False, its traceback)."""
        pipe = self._pipes[index]
        try:
            self._wait(index, lambda: pipe.poll(LOOK_SECONDS))
            answer: tuple[bool, Any] = pipe.recv()
        except (EOFError, OSError) as error:
            self._meanwhile()  # whoever stopped the trainer may have ended the workers, too
            self._owed[index] = 0
            death = self._death(index)
            logger.warning("worker %d: %s", index, death)
            raise WorkerError(death) from error
        self._owed[index] -= 1
        return answer

    def _wait(self, index: int, done: Callable[[], bool]) -> None:
        """Until done(), which takes LOOK_SECONDS to say no."""
        used, silent = None, 0.0
        while not done():
            self._meanwhile()
            now = processor_seconds(self._processes[index].pid or 0)
            silent = silent + LOOK_SECONDS if now == used else 0.0
            used = now
            if silent > (LONGEST_SILENCE if now is None else SILENT_SECONDS):
                raise WorkerError("a worker no longer answers; it hangs or was stopped")

    def _death(self, index: int) -> str:
        """Why a worker that has left no word is gone."""
        process = self._processes[index]
        process.join(timeout=CLOSE_SECONDS)
        code = process.exitcode
        if code is not None and -code == getattr(signal, "SIGKILL", 9):
            return "a worker was killed; where memory has run out, close other programs"
        if code is not None and code < 0:
            return f"a worker was ended by signal {-code}"
        return f"a worker ended too early (exit status {code})"


def even_slices(count: int, parts: int) -> list[slice]:
    """So many items in at most so many parts of nearly the same length, none of them empty."""
    length, longer = divmod(count, parts)
    slices, first = [], 0
    for part in range(min(parts, count)):
        last = first + length + (part < longer)
        slices.append(slice(first, last))
        first = last
    return slices


def core_count() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_seconds(pid: int) -> float | None:
    """Processor time, s, that a process has used; None where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def _serve(pipe: Connection, index: int, count: int) -> None:
    """A worker's life: make the object that it is told to, then obey until the pipe closes."""
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):  # the trainer's to handle; with it ends its workers' pipe
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    _die_with_the_trainer()
    _pin(index, count)
    with contextlib.suppress(EOFError, OSError):  # the trainer is gone, and with it every reason to go on
        told = pipe.recv_bytes()
        try:
            make, arguments = ForkingPickler.loads(told)
            worker = make(*arguments)
        except Exception:
            pipe.send((False, traceback.format_exc()))
            return
        while True:
            method, own = pipe.recv()
            try:
                answer = (True, getattr(worker, method)(*own))
            except Exception:
                answer = (False, traceback.format_exc())
            pipe.send(answer)


def _die_with_the_trainer() -> None:
    """However the trainer ends: also in the midst of a long call, and on Linux also while stopped."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _pin(index: int, count: int) -> None:
    """One worker a core, where the system lets us say so and there are cores for all."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if 1 < count <= len(cores):
            os.sched_setaffinity(0, {cores[index]})
