# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever sits before the screen: looks for words, presses what they stand on, and is counted."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from . import pictures
from .blender import Blender, WalkError
from .x11 import Picture, Screen

_LOOK_SECONDS = 0.15  # between two looks
_HOVER_SECONDS = 0.15  # a button lights up before it is pressed
_DRAW_SECONDS = 0.2  # the software that draws here is slow
_DOUBLE_SECONDS = 0.08


class Person:
    """A person with a mouse and a keyboard.

    presses: every click and every key so far; of a double-click both. seconds: since the first of them.
    """

    def __init__(self, screen: Screen, blender: Blender, folder: Path | None, walk: str) -> None:
        self._screen, self._blender = screen, blender
        self._folder, self._walk, self._shown = folder, walk, 0
        self._begin = 0.0
        self.presses = 0

    def anew(self, walk: str) -> Person:
        """The same person at the beginning of another walk."""
        return Person(self._screen, self._blender, self._folder, walk)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begin if self._begin else 0.0

    def facts(self) -> dict[str, Any]:
        """What Blender's own data say, which no person sees: to judge a walk by, see inside.py."""
        return self._blender.facts()

    def wait_for(self, words: str, seconds: float = 10.0, below: str = "") -> tuple[int, int]:
        """Where words stand, once they do: the first place from the top. Raises WalkError.

        Ending in "…", they are the beginning of what stands there. below: other words that they stand below.
        """
        top = self.wait_for(below, seconds)[1] if below else 0
        last = None
        begin, until = words.removesuffix("…").rstrip(), time.monotonic() + seconds
        pattern = self._blender.words(begin)
        while True:
            self._screen.fit_windows()
            picture = self._screen.picture()
            places = pictures.find(picture, pattern, whole=begin == words)
            place = next((place for place in places if place[1] > top), None)
            if place is not None and place == last:
                return place
            last = place
            if time.monotonic() > until:
                self.show("lost", picture)
                raise WalkError(f"{self._walk}: “{words}” cannot be read on the screen in full.")
            time.sleep(_LOOK_SECONDS)

    def click(self, words: str, seconds: float = 10.0, below: str = "", times: int = 1, step: str = "") -> None:
        """Press what says these words. step: a name for the picture that is taken before."""
        place = self.wait_for(words, seconds, below)
        while True:  # panels glide as they open, and what was here may have gone on when the mouse comes
            self._screen.move(*place)
            time.sleep(_HOVER_SECONDS)
            if (now := self.wait_for(words, seconds, below)) == place:
                break
            place = now
        self.click_at(place, times, step or words)

    def click_at(self, place: tuple[int, int], times: int = 1, step: str = "") -> None:
        """Press at a point, pixels."""
        self._screen.move(*place)
        time.sleep(_HOVER_SECONDS)
        self.show(step, pictures.marked(self._screen.picture(), place))
        self._count(times)
        for _time in range(times):
            self._screen.press()
            time.sleep(_DOUBLE_SECONDS)
        self._settle()

    def key(self, name: str, over: tuple[int, int]) -> None:
        """Press a key with the mouse over a point."""
        self._screen.move(*over)
        time.sleep(_HOVER_SECONDS)
        self.show(f"key {name}")
        self._count(1)
        self._screen.key(name)
        self._settle()

    def move(self, place: tuple[int, int]) -> None:
        """The mouse out of the way: a tooltip hides what is under it."""
        self._screen.move(*place)

    def show(self, step: str, picture: Picture | None = None) -> None:
        """Keep a picture of the screen."""
        if self._folder is None or not step:
            return
        self._shown += 1
        name = "".join(letter if letter.isalnum() else "-" for letter in step.lower()).strip("-")
        path = self._folder / f"{self._walk}-{self._shown}-{name}.png"
        pictures.write_png(path, self._screen.picture() if picture is None else picture)

    def _settle(self) -> None:
        """Wait until Blender has taken in what was pressed, however busy the computer is: two rounds of its timers."""
        for _round in range(2):
            self._blender.facts()
        time.sleep(_DRAW_SECONDS)

    def _count(self, presses: int) -> None:
        self._begin = self._begin or time.monotonic()
        self.presses += presses
