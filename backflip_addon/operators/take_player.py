# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes that play in the viewport, in a loop of their own: no keys, no frame of the timeline moves, nothing is kept.

The chosen take plays, and with it those that are compared with it, and the reference. Loading is a thread's work
(take_tracks), reading the character's meshes is done a little at a time; until then the body's solid shapes stand in.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import Annotated, Any

import bpy
import numpy as np
from bpy.props import BoolProperty, StringProperty

from .. import compat
from ..core.arrays import Float32Array, IntArray
from ..core.motions.skinning import Skin
from ..jobs.events import Budget
from ..jobs.folder import JobFolder
from ..jobs.json_files import JobError
from ..registration import add_handlers, persistent, remove_handlers
from ..scene import puppet, stored_avatar, units
from ..settings import BackflipBrowser, scene_settings
from ..settings import takes as take_settings
from . import job_link, job_monitor
from .base import INTERNAL, USER_ERRORS, Step, current_scene, need_job
from .take_places import way_aside
from .take_tracks import REFERENCE, Track, Tracks

FRAME_SECONDS = 1 / 30  # between two pictures
SLOWEST_SECONDS = 0.5  # between two pictures on a slow computer
TRAINING_SHARE = 4.0  # times as long as a picture takes, while a training could use the processor
WORK_SECONDS = 0.0015  # for reading the meshes, in a tick of the timer
WAIT_SECONDS = 0.005  # until the next look at what is being loaded or read
REST_SECONDS = 0.7  # the last pose is held so long before the take begins again
SIDEBAR_SECONDS = 0.2  # between two drawings of the sidebar, whose slider goes along
MOST_COMPARED = 4  # takes, the chosen one among them


@dataclasses.dataclass(frozen=True)
class Figure:
    """One take as it is drawn. colour: 0 for the chosen one, 1 to 3 for those beside it, -1 for the reference.

    points (V, 3): in the world; triangles (T, 3) of them, the same array as long as the skin is the same.
    """

    name: str
    colour: int
    points: Float32Array
    triangles: IntArray


class _Player:
    """What plays in one scene. position: seconds into the loop, where it stands still."""

    def __init__(self, folder: JobFolder) -> None:
        self.tracks = Tracks(folder.path)
        self.pins: list[str] = []
        self.trouble = ""
        self.paused = False
        self.position = 0.0
        self.began = time.perf_counter()
        self.chosen = ""
        self.shown: list[Track] = []
        self.skin: Skin | None = None
        self.skin_of: tuple[str, int] = ("", 0)  # the avatar's name, and its meshes' vertices
        self.reader: Iterator[Skin | None] | None = None

    def names(self, scene: bpy.types.Scene) -> list[str]:
        """The takes that are to be shown, the chosen one first; the reference last, where it is wanted."""
        names = [name for name in (self.chosen, *self.pins) if name]
        names = list(dict.fromkeys(names))[:MOST_COMPARED]
        return [*names, REFERENCE] if names and scene_settings(scene).browser.compare_reference else names

    def load(self, scene: bpy.types.Scene, wait: bool = False) -> bool:
        """Take in what has been loaded; whether more is to come. Until then what was shown is shown on."""
        self.trouble = ""
        shown: list[Track] = []
        waiting = False
        for name in self.names(scene):
            try:
                track = self.tracks.get(name, wait)
            except JobError as error:
                self.trouble = str(error)
                continue
            waiting = waiting or track is None
            shown += [track] if track is not None else []
        if not (waiting and self.shown):
            self.shown = shown
        return waiting

    def read(self, scene: bpy.types.Scene, budget: Budget) -> bool:
        """Read the character's meshes, as far as budget goes; whether more is to come."""
        if not self.shown or scene_settings(scene).browser.solid:
            return False
        try:
            armature = stored_avatar.avatar(scene)
            if self.reader is None and self.skin_of != (of := _described(armature)):
                self.skin, self.skin_of = None, of
                self.reader = puppet.read_puppet(armature, self.shown[0].performer.binding)
            while self.reader is not None:
                self.skin = next(self.reader)
                if self.skin is not None:
                    self.reader = None
                elif budget.spent():
                    return True
        except (*USER_ERRORS, puppet.PuppetError, ReferenceError):
            self.reader = None  # the body's shapes are shown
        return False

    def seconds(self) -> float:
        """How long the longest of what is shown takes."""
        return max((track.seconds for track in self.shown), default=0.0)

    def now(self, scene: bpy.types.Scene, clock: float) -> float:
        """Seconds into the takes at a moment of the clock."""
        if scene_settings(scene).browser.timeline:
            return (scene.frame_current_final - scene_settings(scene).start_frame) / units.scene_rate(scene)
        if self.paused:
            return self.position
        return min((clock - self.began) % (self.seconds() + REST_SECONDS), self.seconds())

    def hold(self, scene: bpy.types.Scene, paused: bool) -> None:
        """Stand still, or go on from there; at its end, from the beginning."""
        self.position = self.now(scene, time.perf_counter())
        if not paused and self.position >= self.seconds() - 1e-6:
            self.position = 0.0
        self.paused, self.began = paused, time.perf_counter() - self.position


@dataclasses.dataclass
class _Pace:
    """Leaves a slow computer as much time for its user as the pictures take, and for a training more.

    due: when the timer was to come back; drawn: when it last had a picture drawn.
    """

    due: float = 0.0
    drawn: float = 0.0

    def next(self, wait: float, now: float, training: bool) -> float:
        """When to come back instead of after wait, s: what came late came after a long drawing."""
        late = now - self.due if self.due else 0.0
        wait = max(wait, min(late * (TRAINING_SHARE if training else 1.0), SLOWEST_SECONDS))
        self.due = now + wait
        return wait


_pace = _Pace()
_players: dict[tuple[int, str], _Player] = {}  # by the scene's session_uid and its job's folder
_drawn_sidebar = 0.0


def _player(scene: bpy.types.Scene) -> _Player | None:
    """The player of the scene's job, with the chosen take in it; None where there is none."""
    place = job_link.known_place(scene)
    if not place or not scene_settings(scene).job_folder:
        return None
    key = (scene.session_uid, place)
    if key not in _players:
        _players[key] = _Player(JobFolder(place))
    player = _players[key]
    file = job_monitor.chosen_take(scene)
    chosen = file.name if file is not None else ""
    if chosen != player.chosen:
        player.chosen, player.began = chosen, time.perf_counter()
        player.position, player.paused = 0.0, False  # what is chosen plays
    return player


def _described(armature: bpy.types.Object) -> tuple[str, int]:
    meshes = (ob for ob in armature.children_recursive if ob.type == "MESH")
    return armature.name, sum(len(getattr(ob.data, "vertices", ())) for ob in meshes)


def figures(scene: bpy.types.Scene, wait: bool = False) -> list[Figure]:
    """What is to be drawn of the scene's takes at this moment. wait: load and read it all first."""
    player = _player(scene) if scene_settings(scene).show_take else None
    if player is None:
        return []
    if wait:
        player.load(scene, wait=True)
        player.read(scene, Budget())
    elif [track.name for track in player.shown] != player.names(scene) and not player.trouble:
        wake()  # another scene came into the window
    seconds = player.now(scene, time.perf_counter())
    whole = None if scene_settings(scene).browser.solid else player.skin
    found = []
    for place, track in enumerate(player.shown):
        skin, moves = (whole, track.skin) if whole is not None else (track.performer.solids, track.solid)
        points = skin.posed(moves[track.frame(seconds)])
        colour = place if track.name != REFERENCE else -1
        points += way_aside(scene, track.performer, colour).astype(np.float32)
        found.append(Figure(track.name, colour, points, skin.triangles))
    return found


# What the panels ask


def trouble(scene: bpy.types.Scene) -> str:
    """Why a take is not shown, "" where all are, and of a list that is another job's still, after a step was undone."""
    player = _player(scene)
    return player.trouble if player and job_monitor.facts_of(scene, player.chosen) else ""


def track(scene: bpy.types.Scene) -> Track | None:
    """The chosen take, where it has been loaded."""
    player = _player(scene)
    return next((track for track in player.shown if track.name == player.chosen), None) if player else None


def pins(scene: bpy.types.Scene) -> list[str]:
    """The takes that stay shown when others are chosen, by their files' names."""
    player = _player(scene)
    return list(player.pins) if player else []


def compared(scene: bpy.types.Scene) -> list[tuple[str, int]]:
    """Name and colour of each take that is shown, the reference's name being empty."""
    player = _player(scene) if scene_settings(scene).show_take else None
    tracks = player.shown if player else []
    return [(track.name, place if track.name != REFERENCE else -1) for place, track in enumerate(tracks)]


def paused(scene: bpy.types.Scene) -> bool:
    """Whether the takes stand still."""
    player = _player(scene)
    return player is not None and player.paused


def times(scene: bpy.types.Scene) -> tuple[float, float]:
    """Where the takes are and how long the longest is, s."""
    player = _player(scene)
    return (player.now(scene, time.perf_counter()), player.seconds()) if player else (0.0, 0.0)


class _Playback:
    """The slider, and what is to be done when something was chosen (settings.takes.Playback)."""

    def get_position(self, browser: BackflipBrowser) -> float:
        now, seconds = times(_scene_of(browser))
        return 100.0 * min(max(now / seconds, 0.0), 1.0) if seconds else 0.0

    def set_position(self, browser: BackflipBrowser, position: float) -> None:
        player = _player(_scene_of(browser))
        if player is not None:
            browser.timeline = False
            player.paused, player.position = True, position / 100.0 * player.seconds()
            compat.redraw_viewports()

    def changed(self, _owner: Any) -> None:
        wake()
        compat.redraw()


def _scene_of(browser: BackflipBrowser) -> Any:
    return browser.id_data


# The timer


def _tick() -> float | None:
    """One step of all that plays; when to come back, None when nothing moves."""
    scenes = {window.scene.session_uid: window.scene for window in _windows()}
    waits = [wait for scene in scenes.values() if (wait := _advance(scene)) is not None]
    if not waits:
        _pace.due = 0.0
        return None
    now = time.perf_counter()
    if min(waits) > WAIT_SECONDS or now - _pace.drawn >= FRAME_SECONDS:  # it plays while its mesh is being read, too
        _pace.drawn = now
        compat.redraw_viewports()
        _draw_sidebar()
    statuses = [job_monitor.status_of(scene) for scene in scenes.values()]
    return _pace.next(min(waits), now, any(status is not None and status.active for status in statuses))


def _windows() -> Iterator[bpy.types.Window]:
    for manager in bpy.data.window_managers:
        yield from manager.windows


def _advance(scene: bpy.types.Scene) -> float | None:
    """Load and read what is to be shown in a scene; when to come back, None when nothing moves there."""
    player = _player(scene) if scene_settings(scene).show_take else None
    if player is None:
        return None
    before = [track.name for track in player.shown]
    budget = Budget(WORK_SECONDS)
    waiting = player.load(scene)
    if [track.name for track in player.shown] != before and not player.paused:
        player.began = time.perf_counter()
    more = player.read(scene, budget)
    if waiting or more:
        return WAIT_SECONDS
    moves = player.shown and not player.paused and not scene_settings(scene).browser.timeline
    return FRAME_SECONDS if moves else None


def _draw_sidebar() -> None:
    global _drawn_sidebar
    if time.perf_counter() - _drawn_sidebar > SIDEBAR_SECONDS:
        _drawn_sidebar = time.perf_counter()
        compat.redraw(sidebar_alone=True)


def wake() -> None:
    """Look at once at what is to be shown. Without a window nothing is."""
    if not bpy.app.background and not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=0.0, persistent=True)


# Buttons


def _need_chosen(scene: bpy.types.Scene) -> str:
    return "" if job_monitor.chosen_take(scene) is not None else "Choose a take first."


class PlayTake(Step, bpy.types.Operator):
    """Play or pause the chosen take in the viewport. The timeline stays where it is"""

    bl_idname = "backflip.play_take"
    bl_label = "Play Take"
    needs = (need_job, _need_chosen)

    blocking: Annotated[bool, BoolProperty(name="Wait", description="Return when it is loaded", options=INTERNAL)]

    def run(self, context: bpy.types.Context) -> None:
        scene = current_scene(context)
        settings, player = scene_settings(scene), _player(scene)
        if player is None:
            return
        if settings.browser.timeline or not settings.show_take:
            settings.browser.timeline, settings.show_take, player.paused = False, True, True
        player.hold(scene, not player.paused)
        if self.blocking:
            player.load(scene, wait=True)
            player.read(scene, Budget())
            if player.trouble:
                raise JobError(player.trouble)
        wake()
        compat.redraw()


class CompareTake(Step, bpy.types.Operator):
    """Keep showing this take beside others to compare them, or stop showing it"""

    bl_idname = "backflip.compare_take"
    bl_label = "Compare"
    needs = (need_job, _need_chosen)

    take: Annotated[str, StringProperty(name="Take", description="The chosen one when empty", options=INTERNAL)]

    def run(self, context: bpy.types.Context) -> None:
        scene = current_scene(context)
        player = _player(scene)
        if player is None:
            return
        take = self.take or player.chosen
        if take in player.pins:
            player.pins.remove(take)
        elif take not in scene_settings(scene).takes:
            raise JobError(f"There is no take called {take}; choose one from the list.")
        elif len(player.pins) >= MOST_COMPARED:
            raise JobError(f"{MOST_COMPARED} takes are being compared already; remove one of them first.")
        else:
            player.pins.append(take)
            scene_settings(scene).show_take = True  # a bake may have hidden them
        wake()
        compat.redraw()


def forget(scene: bpy.types.Scene, name: str) -> None:
    """A take is gone, or there is another of its name."""
    player = _player(scene)
    if player is not None:
        player.tracks.forget(name)
        if name in player.pins:
            player.pins.remove(name)


# Blender's own comings and goings


@persistent
def _on_load(*_args: Any) -> None:
    _clear()
    wake()


@persistent
def _on_undo(*_args: Any) -> None:
    for player in _players.values():
        if player.skin is None:  # what was being read is another object now, or is back again
            player.reader, player.skin_of = None, ("", 0)
    wake()


def _clear() -> None:
    for player in _players.values():
        player.tracks.close()
    _players.clear()


_HANDLERS = {"load_post": _on_load, "undo_post": _on_undo, "redo_post": _on_undo}


def register() -> None:
    take_settings.playback = _Playback()
    add_handlers(_HANDLERS)
    wake()


def unregister() -> None:
    remove_handlers(_HANDLERS)
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    _clear()


CLASSES = (PlayTake, CompareTake)
