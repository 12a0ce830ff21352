# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeing it learn: the latest take plays by itself; the first landing, any better one, and what was shot is announced
and chosen."""

from __future__ import annotations

import dataclasses

import bpy

from .. import compat
from ..jobs.messages import Rank, TakeRecorded
from ..scene import stored_avatar
from ..settings import scene_settings
from ..settings.road import turn_to
from ..settings.takes import choose_unasked

SAID_SECONDS = 20.0  # the status bar says so for so long
LANDED = "Landed. The take is playing in the viewport"
CLEANLY = "Landed cleanly: a take in the list withstands small disturbances, too"
BETTER = "A better landing is in the list of takes."
SHOT = "What you shot is in the list of takes"

_opened: set[int] = set()  # session_uid of scenes that were linked to an earlier training, of which nothing is chosen
_asked: dict[int, int] = {}  # session_uid of scenes for which a shot was asked, with the take that was chosen then


@dataclasses.dataclass(frozen=True)
class Moment:
    """What a look at a job saw. active: a trainer is at work; takes: in the list; landed: of the job's; known: all of
    the job's events have been read; clean: of the landed; best: the best take's file name, "" for none; worth: how good
    that is."""

    active: bool
    takes: int
    landed: int
    known: bool
    clean: int = 0
    best: str = ""
    worth: Rank = TakeRecorded().rank


def react(scene: bpy.types.Scene, before: Moment, now: Moment, landing: str, shot: str = "") -> None:
    """Choose what is new. landing: the file name of the latest take that landed, "" for none; shot: of the first new
    one that was asked for.

    Who has chosen an earlier take keeps it, but for the first landing. A better one takes its place where that is still
    chosen, and not baked. Of an old job that is read nothing is news.
    """
    settings = scene_settings(scene)
    if now.known and scene.session_uid in _opened:
        _choose_best(scene, now)
    if shot and scene.session_uid in _asked:
        _choose_shot(scene, shot)
        return
    if not (before.active and before.known and now.known):
        return
    if now.landed and not before.landed and (index := settings.takes.find(landing)) >= 0:
        settings.take_index = index
        turn_to(settings, "bake")
        _offer(scene, LANDED)
    elif before.landed and now.worth > before.worth and (index := settings.takes.find(now.best)) >= 0:
        if settings.takes.find(before.best) == settings.take_index and not settings.baked_last:
            choose_unasked(settings, index)
        if now.clean and not before.clean:
            _offer(scene, CLEANLY)
        else:
            say(BETTER)
    elif now.takes > before.takes and settings.take_index >= before.takes - 1 and not before.landed:
        choose_unasked(settings, now.takes - 1)


def opened(scene: bpy.types.Scene) -> None:
    """An earlier training was opened: its best take is chosen once it is known, not the first or the last one."""
    _opened.add(scene.session_uid)


def _choose_best(scene: bpy.types.Scene, now: Moment) -> None:
    settings = scene_settings(scene)
    index = settings.takes.find(now.best)
    if index >= 0 and (now.landed or not now.active):  # while nothing has landed the latest one is looked at
        settings.take_index = index
    if index >= 0 or not now.best:
        _opened.discard(scene.session_uid)


def asked(scene: bpy.types.Scene) -> None:
    """A shot was asked for: it is chosen when it comes, if nothing else is until then."""
    _asked[scene.session_uid] = scene_settings(scene).take_index


def _choose_shot(scene: bpy.types.Scene, shot: str) -> None:
    """Choose the first take of those that were asked for; the others stay in the list."""
    settings = scene_settings(scene)
    if _asked.pop(scene.session_uid) == settings.take_index and (index := settings.takes.find(shot)) >= 0:
        settings.take_index = index
    _offer(scene, SHOT)


def _offer(scene: bpy.types.Scene, words: str) -> None:
    """Say what can be baked, where there is an avatar to bake it to."""
    say(f"{words}: bake it when you like." if stored_avatar.present(scene) else f"{words}.")


def say(words: str) -> None:
    """Say something in the status bar for a while."""
    compat.show_status(words)
    if bpy.app.timers.is_registered(unsay):
        bpy.app.timers.unregister(unsay)
    bpy.app.timers.register(unsay, first_interval=SAID_SECONDS, persistent=True)


def unsay() -> None:
    """Have the status bar say what it says usually."""
    compat.show_status(None)


def unregister() -> None:
    _opened.clear()
    _asked.clear()
    if bpy.app.timers.is_registered(unsay):
        bpy.app.timers.unregister(unsay)
        unsay()
