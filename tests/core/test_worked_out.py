# SPDX-License-Identifier: GPL-3.0-or-later
"""What is worked out in a thread: asked for without waiting, kept, and the last thing that was wanted comes first."""

from __future__ import annotations

import sys
import threading

import pytest

from backflip_addon.core.worked_out import WorkedOut


def settled(work: WorkedOut[int]) -> None:
    """Until no thread of it is left: what it gives back as it ends comes after it has ceased to be busy."""
    for thread in threading.enumerate():
        if thread.name == "backflip-work":
            thread.join(60.0)
    assert not work.busy, "the thread does not end"


def test_a_window_does_not_wait_and_who_must_does() -> None:
    begun, gate, made = threading.Event(), threading.Event(), []

    def work(number: int) -> int:
        begun.set()
        gate.wait(60.0)
        made.append((number, threading.current_thread() is threading.main_thread()))
        return 10 * number

    results = WorkedOut(work, most=2)
    usual = sys.getswitchinterval()
    assert results.when_done(1) is None and results.busy and begun.wait(60.0)
    for number in (2, 3, 4):
        assert results.when_done(number) is None, "dragged on: nobody waits for those between any more"
    gate.set()
    settled(results)
    assert results.when_done(4) == 40
    assert [number for number, _main in made] == [1, 4] and not any(main for _number, main in made)
    assert results.at_once(5) == results.at_once(5) == 50 and made[-1] == (5, True)
    assert results.at_once(6) == 60 and results.when_done(4) is None, "two are kept"
    settled(results)
    assert sys.getswitchinterval() == usual
    results.forget()
    assert results.when_done(6) is None


def test_what_is_raised_comes_to_who_asks() -> None:
    def work(text: str) -> int:
        return int(text)

    results = WorkedOut(work)
    assert results.when_done("a") is None
    settled(results)
    for _ in range(2):
        with pytest.raises(ValueError, match="'a'"):
            results.when_done("a")
    with pytest.raises(ValueError, match="'b'"):
        results.at_once("b")
