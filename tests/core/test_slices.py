# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in slices comes to the same at once and bit by bit, waits for no thread, and takes back what was given up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from backflip_addon.core.slices import Sliced, Slices, apart, at_once


def sums(numbers: list[str]) -> Slices[int]:
    total = 0
    for number in numbers:
        yield None
        try:
            total += yield from apart(int, number)
        except ValueError:
            total += 100
    return total


def test_at_once_and_bit_by_bit_it_is_the_same() -> None:
    assert at_once(sums(["1", "x", "2"])) == 103
    sliced = Sliced(sums(["1", "x", "2"]))
    end = time.monotonic() + 10.0
    while not sliced.go_on(0.001):
        assert time.monotonic() < end
    assert sliced.result == 103


def test_a_window_goes_on_while_a_thread_works() -> None:
    gate, where = threading.Event(), []

    def slow() -> str:
        where.append(threading.current_thread())
        gate.wait(10.0)
        return "done"

    sliced = Sliced(apart(slow))
    assert not sliced.go_on(0.01) and not sliced.go_on(0.01), "it would wait until the gate gives way"
    assert where != [threading.main_thread()]
    gate.set()
    while not sliced.go_on(0.1):
        pass
    assert sliced.result == "done"
    assert at_once(apart(slow)) == "done" and where[-1] is threading.main_thread()


def test_what_is_raised_comes_to_who_drives() -> None:
    with pytest.raises(ValueError, match="'x'"):
        at_once(apart(int, "x"))
    sliced = Sliced(apart(int, "x"))
    with pytest.raises(ValueError, match="'x'"):
        while not sliced.go_on(0.1):
            pass


def test_what_is_given_up_is_taken_back() -> None:
    open_: list[str] = []

    @contextmanager
    def opened() -> Iterator[None]:
        open_.append("it")
        try:
            yield
        finally:
            open_.clear()

    def work() -> Slices[None]:
        with opened():
            while True:
                yield None

    sliced = Sliced(work())
    assert not sliced.go_on(0.001) and open_
    sliced.stop()
    assert not open_
