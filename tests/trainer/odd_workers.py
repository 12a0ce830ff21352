# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers for the tests of the pool: plain ones, and such as fail in their own ways."""

from __future__ import annotations

import os
import time


class Plain:
    def pid(self) -> int:
        return os.getpid()

    def echo(self, value: object) -> object:
        return value

    def slow_echo(self, value: object, seconds: float) -> object:
        time.sleep(seconds)
        return value

    def busy(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass


class Unmade:
    def __init__(self) -> None:
        raise KeyError("the thing that is wrong")


class Hungry:
    def __init__(self) -> None:
        raise MemoryError
