# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers that fail, hang, are stopped or killed, and trainers that are: told as what it was, and never waited for."""

from __future__ import annotations

import multiprocessing.spawn
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))  # where the workers find odd_workers, too

import odd_workers

from backflip_addon.jobs.os_processes import process_alive
from backflip_addon.trainer import workers
from backflip_addon.trainer.workers import Pool, WorkerError, even_slices

REPOSITORY = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


class Enough(Exception):
    pass


def enough_after(looks: int) -> object:
    """A meanwhile that breaks off at its so manyeth look."""
    left = [looks]

    def refresh() -> None:
        left[0] -= 1
        if left[0] <= 0:
            raise Enough

    return refresh


def gone(pid: int, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while process_alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not process_alive(pid)


def test_a_workers_error_in_its_constructor_is_told_as_what_it_was() -> None:
    with Pool(1, odd_workers.Unmade) as pool, pytest.raises(WorkerError, match="the thing that is wrong"):
        pool.call("pid")


@posix
def test_a_worker_that_dies_before_it_is_told_anything_is_no_reason_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = os.fsencode(shutil.which("false") or "")
    monkeypatch.setattr(multiprocessing.spawn, "get_executable", lambda: nothing)
    with pytest.raises(WorkerError, match="ended too early"), Pool(2, bytes, bytes(10**6)) as pool:
        pool.call("hex")


def test_a_worker_that_runs_out_of_memory_says_so() -> None:
    with Pool(1, odd_workers.Hungry) as pool, pytest.raises(WorkerError, match="MemoryError"):
        pool.call("pid")


@posix
def test_a_killed_worker_is_told_with_memory_as_a_likely_reason() -> None:
    with Pool(1, odd_workers.Plain) as pool:
        (pid,) = pool.call("pid")
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkerError, match="worker was killed.*memory"):
            pool.call("pid")


@posix
@pytest.mark.parametrize("size", [1, 5_000_000], ids=["small message", "message larger than the pipe"])
def test_a_stopped_worker_holds_up_neither_a_stop_nor_the_end(size: int) -> None:
    pool = Pool(1, odd_workers.Plain)
    (pid,) = pool.call("pid")
    os.kill(pid, signal.SIGSTOP)
    pool._meanwhile = enough_after(2)
    with pytest.raises(Enough):
        pool.call("echo", np.zeros(size, dtype=np.uint8))
    pool.close()
    assert not process_alive(pid)


@posix
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processor times are read from /proc")
def test_a_stopped_worker_is_given_up_and_a_busy_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with Pool(1, odd_workers.Plain) as pool:
        pool.call("pid")  # it has started, which a busy machine may take longer for
        monkeypatch.setattr(workers, "SILENT_SECONDS", 1.0)
        pool.call("busy", 2.5)
        (pid,) = pool.call("pid")
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(WorkerError, match="no longer answers"):
            pool.call("pid")
    assert not process_alive(pid)


def test_what_was_broken_off_is_not_taken_for_the_next_calls_answer() -> None:
    with Pool(1, odd_workers.Plain) as pool:
        pool.call("pid")
        pool._meanwhile = enough_after(1)
        with pytest.raises(Enough):
            pool.call("slow_echo", "old", 1.0)
        pool._meanwhile = lambda: None
        assert pool.call("echo", "new") == ["new"]


def test_a_stop_is_heard_while_workers_are_started() -> None:
    with pytest.raises(Enough):
        Pool(3, odd_workers.Plain, meanwhile=enough_after(2))


@posix
@pytest.mark.parametrize("state", ["in a long call", "stopped"])
def test_workers_end_with_a_trainer_that_is_killed(state: str) -> None:
    if state == "stopped" and not sys.platform.startswith("linux"):
        pytest.skip("a stopped process cannot be told elsewhere")
    code = f"""
import sys
sys.path[:0] = {[str(REPOSITORY), str(REPOSITORY / "tests" / "trainer")]!r}
import odd_workers
from backflip_addon.trainer.workers import Pool
if __name__ == "__main__":
    pool = Pool(1, odd_workers.Plain)
    print(pool.call("pid")[0], flush=True)
    pool.call("slow_echo", 0, 300)
"""
    trainer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert trainer.stdout is not None
    worker = int(trainer.stdout.readline())
    time.sleep(0.3)
    if state == "stopped":
        os.kill(worker, signal.SIGSTOP)
    trainer.kill()
    trainer.wait()
    trainer.stdout.close()
    try:
        assert gone(worker)
    finally:
        if process_alive(worker):
            os.kill(worker, signal.SIGKILL)


@pytest.mark.parametrize(("count", "parts"), [(0, 3), (2, 70), (7, 3), (64, 64)])
def test_what_is_shared_out_is_whole_and_leaves_no_part_empty(count: int, parts: int) -> None:
    items = list(range(count))
    shared = [items[part] for part in even_slices(count, parts)]
    assert [item for part in shared for item in part] == items
    assert all(shared) and len(shared) == min(count, parts)
    assert not shared or max(map(len, shared)) - min(map(len, shared)) <= 1
