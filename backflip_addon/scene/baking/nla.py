# SPDX-License-Identifier: GPL-3.0-or-later
"""The takes' NLA tracks, one of which plays at a time, and the avatar's own animation, which comes back as it was.

Whatever a playing take changes is remembered on its action: which track had the star, whether the NLA was on, and what
the take's channels held before. Of several takes each takes that memory over from the one before: it tells of the
avatar's own animation.
"""

from __future__ import annotations

import json
from typing import Any

import bpy

from ...core.arrays import IntArray
from ..animation.action_slots import ActionError
from ..animation.actions import Channel
from ..typed_data import ensure_animation_data, subtype

TRACK_PREFIX = "Backflip: "
BEFORE_PROPERTY = "backflip_before"  # on a baked action: what its channels held before the bake, JSON
WARNINGS_PROPERTY = "backflip_warnings"  # on a baked action: sentences on what is seen otherwise than performed, JSON
OWN_PROPERTY = "backflip_own"  # on the action of the take that plays: how the own animation was played, JSON

_MODE = ".rotation_mode"
_ROTATIONS = (".rotation_quaternion", ".rotation_euler", ".rotation_axis_angle")


def check_writable(armature: bpy.types.Object) -> None:
    """Raises ActionError where the armature's animation cannot be changed."""
    if armature.library is not None:
        raise ActionError(f"{armature.name} is linked from another file; make a library override of it first.")
    if armature.animation_data is not None and armature.animation_data.use_tweak_mode:
        raise ActionError(f"Leave tweak mode in the NLA editor of {armature.name} first.")


def add(armature: bpy.types.Object, action: bpy.types.Action, slot: Any, frames: IntArray) -> bpy.types.NlaTrack:
    """A new track on top that plays the action alone. It is muted for when it has no star: then it rests."""
    action.use_frame_range = True
    action.frame_start, action.frame_end = float(frames[0]), float(frames[-1])
    data = ensure_animation_data(armature)
    track = data.nla_tracks.new()
    track.name = TRACK_PREFIX + action.name
    strip = track.strips.new(action.name, int(frames[0]), action)
    strip.action_slot = slot
    strip.action_frame_start, strip.action_frame_end = float(frames[0]), float(frames[-1])
    strip.extrapolation, strip.blend_type = "HOLD", "REPLACE"
    _play(armature, track)
    return track


def _play(armature: bpy.types.Object, track: bpy.types.NlaTrack) -> None:
    ensure_animation_data(armature).use_nla = True
    track.mute = True
    track.is_solo = True


def baked_tracks(armature: bpy.types.Object) -> list[bpy.types.NlaTrack]:
    """The armature's tracks that hold takes, oldest first."""
    return [track for track in _tracks(armature) if baked_action(track) is not None]


def baked_action(track: bpy.types.NlaTrack) -> bpy.types.Action | None:
    """The action of a take's track, None of any other."""
    return next((s.action for s in track.strips if s.action and _has(s.action, BEFORE_PROPERTY)), None)


def playing_track(armature: bpy.types.Object) -> bpy.types.NlaTrack | None:
    """The track of the take that plays; None while the avatar's own animation does."""
    return next((track for track in baked_tracks(armature) if track.is_solo), None)


def warnings(armature: bpy.types.Object) -> list[str]:
    """What was found to be seen otherwise than it was performed, of the take that plays."""
    track = playing_track(armature)
    action = baked_action(track) if track is not None else None
    try:
        found = json.loads(action.get(WARNINGS_PROPERTY, "[]")) if action is not None else []
    except (TypeError, ValueError):
        return []
    return [str(sentence) for sentence in found] if isinstance(found, list) else []


def show_track(armature: bpy.types.Object, track_name: str) -> None:
    """Play one take alone, of several with the same name, as a linked one may have, the latest. Raises ActionError."""
    check_writable(armature)
    track = next((track for track in reversed(baked_tracks(armature)) if track.name == track_name), None)
    action = baked_action(track) if track is not None else None
    if track is None or action is None:
        raise ActionError(f"{armature.name} has no take on a track called {track_name}; choose another one.")
    before = SavedAnimation(armature)
    before.note(_read(action, BEFORE_PROPERTY))
    _play(armature, track)
    before.store_on(action)
    armature.update_tag(refresh={"OBJECT", "DATA", "TIME"})


def show_own_animation(armature: bpy.types.Object) -> None:
    """Silence every take and put back what was before them; the takes stay in their tracks. Raises ActionError."""
    check_writable(armature)
    action = remembering_action(armature)
    if action is None:
        return  # it plays already
    track = playing_track(armature)
    if track is not None:
        track.is_solo = False
    for track in baked_tracks(armature):
        track.mute = True
    if _has(action, OWN_PROPERTY):
        _play_as(armature, _read(action, OWN_PROPERTY))
        _forget(armature, action)
    _put_back(armature, _read(action, BEFORE_PROPERTY))
    armature.update_tag(refresh={"OBJECT", "DATA", "TIME"})


def remembering_action(armature: bpy.types.Object) -> bpy.types.Action | None:
    """The action of the take that plays, or did until its track was deleted or another got its star by hand.

    None while the avatar's own animation plays.
    """
    takes = [action for track in _tracks(armature) if (action := baked_action(track)) is not None]
    playing = playing_track(armature)
    star = baked_action(playing) if playing is not None else None
    for action in filter(None, (star, *takes)):
        if _has(action, OWN_PROPERTY):
            return action
    if star is not None:
        return star
    lost = [action for action in bpy.data.actions if _has(action, OWN_PROPERTY) and action not in takes]
    return next((a for a in lost if _read(a, OWN_PROPERTY).get("object") == armature.name), None)


class SavedAnimation:
    """What there was before a take plays: Blender leaves the last frame's values behind, and has but one star.

    While a take plays already it is that one's memory that goes on.
    """

    def __init__(self, armature: bpy.types.Object) -> None:
        self._armature = armature
        self._had_data = armature.animation_data is not None
        self._now = _how_it_plays(armature, _tracks(armature))
        self._read: dict[str, list[Any]] = {}
        self._former = remembering_action(armature)
        own = [track for track in _tracks(armature) if baked_action(track) is None]
        self._own = _how_it_plays(armature, own)
        self._values: dict[str, list[Any]] = {}
        if self._former is not None:
            self._own = _read(self._former, OWN_PROPERTY) or self._own
            self._values = _read(self._former, BEFORE_PROPERTY)

    def save_channels(self, channels: list[Channel]) -> list[Channel]:
        """The channels, whose present values are noted."""
        self.note({channel.data_path for channel in channels})
        return channels

    def note(self, paths: Any) -> None:
        """Note the present values of RNA paths from the object; those that lead nowhere are left out."""
        turned = {path.removesuffix(_MODE) for path in paths if path.endswith(_MODE)}
        for path in {*paths, *(bone + rotation for bone in turned for rotation in _ROTATIONS)}:
            try:
                value: Any = self._armature.path_resolve(path)
            except ValueError:
                continue  # a bone or constraint that has been removed since
            is_list = hasattr(value, "__len__") and not isinstance(value, str)
            self._read[path] = list(value) if is_list else [value]

    def store_on(self, action: bpy.types.Action) -> None:
        """Have the action of the take that plays now remember."""
        _forget(self._armature, self._former)
        action[BEFORE_PROPERTY] = json.dumps({**self._read, **self._values})
        action[OWN_PROPERTY] = json.dumps(self._own)

    def restore_without(self, action: bpy.types.Action) -> None:
        """Remove an action and its track, and let everything be as it was."""
        armature = self._armature
        for track in _tracks(armature):
            if any(strip.action == action for strip in track.strips):
                ensure_animation_data(armature).nla_tracks.remove(track)
        bpy.data.actions.remove(action)
        _put_back(armature, self._read)
        if self._had_data:
            _play_as(armature, self._now, _tracks(armature))
        else:
            armature.animation_data_clear()


def _tracks(armature: bpy.types.Object) -> list[bpy.types.NlaTrack]:
    return list(armature.animation_data.nla_tracks) if armature.animation_data else []


def _forget(armature: bpy.types.Object, former: bpy.types.Action | None) -> None:
    """Have no take remember how the own animation was played, nor the one that did. A linked one does so anew whenever
    the file is opened."""
    for action in (former, *map(baked_action, _tracks(armature))):
        if action is not None and _has(action, OWN_PROPERTY):
            del action[OWN_PROPERTY]


def _how_it_plays(armature: bpy.types.Object, tracks: list[bpy.types.NlaTrack]) -> dict[str, Any]:
    """What a playing take changes: whether the NLA is on, and which of the tracks has the star."""
    data = armature.animation_data
    star = next((i for i, track in enumerate(tracks) if track.is_solo), -1)
    names = [track.name for track in tracks]
    return {"object": armature.name, "use_nla": data is None or data.use_nla, "tracks": names, "star": star}


def _play_as(armature: bpy.types.Object, how: dict[str, Any], tracks: list[bpy.types.NlaTrack] | None = None) -> None:
    """The inverse of _how_it_plays. A star that was set by hand meanwhile stays."""
    data = armature.animation_data
    if data is None:
        return
    if tracks is None:
        tracks = [track for track in _tracks(armature) if baked_action(track) is None]
    star, names = int(how.get("star", -1)), list(how.get("tracks", []))
    if 0 <= star < len(names) and not any(track.is_solo for track in tracks):
        namesakes = [track for track in tracks if track.name == names[star]]
        before = names[:star].count(names[star])  # several may have the same name
        named = namesakes[min(before, len(namesakes) - 1)] if namesakes else None
        if named is None and len(tracks) == len(names):
            named = tracks[star]  # it was renamed
        if named is not None:
            named.is_solo = True
    data.use_nla = bool(how.get("use_nla", True))


def _has(action: bpy.types.Action, name: str) -> bool:
    """Whether an action has a custom property."""
    return name in subtype(action)


def _read(action: bpy.types.Action, name: str) -> dict[str, Any]:
    """A memory on an action; empty where there is none, or what somebody else wrote there."""
    try:
        memory = json.loads(action.get(name, "{}"))
    except (TypeError, ValueError):
        return {}
    return memory if isinstance(memory, dict) else {}


def _put_back(armature: bpy.types.Object, values: dict[str, list[Any]]) -> None:
    # a mode that is set turns the present rotation into its own kind: the rotations come after it
    for path, value in sorted(values.items(), key=lambda item: not item[0].endswith(_MODE)):
        custom = path.endswith('"]')
        owner, _dot, prop = path[:-2].rpartition('["') if custom else path.rpartition(".")
        try:
            holder: Any = armature.path_resolve(owner) if owner else armature
        except ValueError:
            continue  # a bone or constraint that has been removed since
        if custom:
            holder[prop] = value[0]
        else:
            setattr(holder, prop, value if len(value) > 1 else value[0])
