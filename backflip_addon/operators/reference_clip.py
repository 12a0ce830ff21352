# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a clip for the reference: from a file or an armature, onto the body, with the map of its own skeleton."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal, NamedTuple

import bpy

from ..core.clips.key_poses import moved_here
from ..core.motion import Motion
from ..core.rigs import roles
from ..core.rigs.names import REQUIRED
from ..core.rigs.rig import FEWEST_BONES, RigError
from ..core.rigs.roles import RoleMap
from ..core.slices import Slices, apart, at_once
from ..scene import reference as clips
from ..scene import reference_source, stored_avatar, stored_reference
from ..scene.animation.action_slots import ActionError
from ..scene.importing import refusal_messages
from ..scene.importing.importer import CLIP_SUFFIXES, FileError, remove
from ..scene.reference import Recording
from ..scene.reference_source import Source, bones_in_other_rotation_mode
from ..scene.typed_data import armature_data
from ..settings import BackflipSettings, scene_settings
from . import reference_notes
from .base import listed


class ClipMapError(RigError):
    """A clip that its map does not put on the body; it is kept, so that the map can be mended."""


class Report(NamedTuple):
    """What to tell the user: Blender's kind of report, and the words."""

    level: Literal["INFO", "WARNING"]
    words: str


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a clip comes from: a file, or an armature of this one."""

    label: str
    file: str = ""
    source: Source | None = None

    @property
    def kind(self) -> str:
        if self.source is None:
            return "FILE"
        return "ACTION" if self.source.action is not None else "POSE"


def use_file(
    scene: bpy.types.Scene, filepath: str, action: str = "", character: str = "", role_map: RoleMap | None = None
) -> Report:
    """Take a file's clip for the reference. Raises FileError, RigError, and ClipMapError for one that needs a map.

    action, character: which of a file with several. role_map: which joints of the clip play which body parts.
    """
    return at_once(use_file_slices(scene, filepath, action, character, role_map))


def use_file_slices(
    scene: bpy.types.Scene, filepath: str, action: str = "", character: str = "", role_map: RoleMap | None = None
) -> Slices[Report]:
    """use_file() in slices."""
    path = Path(bpy.path.abspath(filepath))
    if path.suffix.lower() not in CLIP_SUFFIXES:
        raise FileError(refusal_messages.unknown_kind(path, CLIP_SUFFIXES, of_a_rig=False))
    if path.suffix.lower() not in clips.READ_HERE:
        source, found, imported = yield from reference_source.import_source_slices(filepath, action, character)
        try:
            yield from _use_source_slices(scene, source, role_map)
        except ClipMapError:
            raise
        except (FileError, ActionError, RigError, GeneratorExit):
            remove(imported)
            raise
        return _report_of_others(path.name, source, found, bool(character))
    if not path.is_file():
        raise FileError(f"{path} does not exist: choose another file.")
    body, _binding = stored_avatar.body_and_binding(scene)
    clip = yield from apart(clips.read_file, path, body)
    yield from _keep_slices(scene, clip, role_map, Origin(path.name, file=filepath))
    assumed = clip.assumed if isinstance(clip, Recording) else ""
    return Report("WARNING" if assumed else "INFO", f"{path.name} is the reference{': ' if assumed else ''}{assumed}.")


def _report_of_others(file: str, source: Source, found: list[Source], asked: bool) -> Report:
    """What a file holds beside what was taken of it: its other characters, else its other actions."""
    bodies = [
        other.armature for other in found if len(armature_data(other.armature).bones) >= FEWEST_BONES
    ]  # and no props
    characters = dict.fromkeys(armature.name for armature in bodies if armature != source.armature)
    if characters and not asked:
        return Report(
            "WARNING",
            f"{file} holds several characters: {source.armature.name} is the reference. For {' or '.join(characters)} "
            "choose its armature (step 2) and press Use Action.",
        )
    others = [other.label for other in found if other.armature == source.armature and other.action != source.action]
    words = f"{_label(source)} is the reference."
    return Report("INFO", words + (f" Others: {', '.join(dict.fromkeys(others))}." if others else ""))


def _use_source_slices(scene: bpy.types.Scene, source: Source, role_map: RoleMap | None = None) -> Slices[None]:
    """Take an armature's action for the reference. Raises ActionError or RigError."""
    clip = yield from _recorded_slices(scene, source)
    yield from _keep_slices(scene, clip, role_map, Origin(_label(source), source=source))


def take_source(scene: bpy.types.Scene, source: Source) -> Report:
    """Take an armature's action, or what it is seen to do, for the reference. Raises ActionError or RigError."""
    return at_once(take_source_slices(scene, source))


def take_source_slices(scene: bpy.types.Scene, source: Source) -> Slices[Report]:
    """take_source() in slices."""
    yield from _use_source_slices(scene, source)
    deaf = bones_in_other_rotation_mode(source)
    if deaf:
        bones = f"{deaf[0]} and {len(deaf) - 1} more bones" if len(deaf) > 1 else deaf[0]
        armature, do = source.armature.name, "do" if len(deaf) > 1 else "does"
        return Report("WARNING", f"{bones} of {armature} {do} not rotate: {_label(source)} keys another rotation mode.")
    seen = f": its visual motion from frame {source.first} to {source.last}" if source.action is None else ""
    return Report("INFO", f"{_label(source)} is the reference{seen}.")


def _label(source: Source) -> str:
    """The action, with its slot where it has several. Of an FBX file's "Armature|Take|Layer" the take."""
    several = source.action is not None and len(source.action.slots) > 1
    parts = source.label.split("|")
    words = parts[1] if len(parts) > 1 and parts[1] else source.label
    return f"{words} ({source.slot.name_display})" if several else words


def _recorded_slices(scene: bpy.types.Scene, source: Source) -> Slices[Recording]:
    _body, binding = stored_avatar.body_and_binding(scene)
    own = source.armature == scene_settings(scene).avatar
    return (yield from clips.read_source_slices(scene, source, binding if own else None))


def _keep_slices(
    scene: bpy.types.Scene, clip: Recording | Motion, role_map: RoleMap | None, origin: Origin, new: bool = True
) -> Slices[None]:
    """Put a clip on the body and keep it, with the map it was read with. Raises FileError, RigError, ClipMapError.

    role_map: the map of the clip's own skeleton; guessed when there is none. new: not the one that was kept before.
    """
    own_map = None  # of the clip's own skeleton; the avatar's actions and clips without a skeleton have none
    motion: Motion | ClipMapError
    if not isinstance(clip, Recording):
        motion = clip
    elif clip.binding is not None:
        motion = yield from _on_body_slices(scene, clip, stored_avatar.role_map(scene))
    else:
        own_map = role_map or (yield from apart(clip.guess))
        motion = yield from _on_body_if_mapped_slices(scene, clip, own_map, origin.label)
    if isinstance(motion, Motion) and motion.frames < 2:
        raise FileError(f"{origin.label} is a single pose: choose a clip that moves.")
    text = (yield from apart(_as_text, motion)) if isinstance(motion, Motion) else ""
    _remember(scene, origin)
    if new:
        _start_afresh(scene_settings(scene))
    if own_map is not None and isinstance(clip, Recording):
        stored_avatar.set_clip_map(scene, clip.rig.bones, own_map)
    else:
        stored_avatar.forget_clip_map(scene)
    if isinstance(motion, ClipMapError):
        stored_reference.keep_unread(scene, str(motion))
        raise motion
    stored_reference.keep_reference(scene, text, motion.duration, [])
    reference_notes.look_again(scene)


def _as_text(motion: Motion) -> str:
    """The clip as the .blend keeps it, and what is drawn next read back already."""
    text = stored_reference.encode_motion(motion)
    stored_reference.decode_motion(text)
    return text


def _on_body_slices(scene: bpy.types.Scene, clip: Recording, role_map: RoleMap) -> Slices[Motion]:
    """The clip on the body. Raises FileError or RigError."""
    body, _binding = stored_avatar.body_and_binding(scene)
    try:
        return (yield from apart(clip.on, body, role_map))
    except ValueError as error:
        raise FileError(str(error)) from error


def _on_body_if_mapped_slices(
    scene: bpy.types.Scene, clip: Recording, role_map: RoleMap, label: str
) -> Slices[Motion | ClipMapError]:
    """The clip on the body, or why its own map does not put it there. Raises FileError, and RigError for a prop's."""
    try:
        return (yield from _on_body_slices(scene, clip, role_map))
    except RigError as error:
        if len(clip.rig.bones) < FEWEST_BONES:
            raise RigError(_too_few(label, len(clip.rig.bones))) from error
        return ClipMapError(_what_the_map_lacks(label, role_map) or str(error))


def _start_afresh(settings: BackflipSettings) -> None:
    settings.trim_start, settings.trim_end, settings.time_scale = 0.0, 0.0, 1.0
    settings.loops = settings.upright = settings.grounded = False
    settings.physical_flights = settings.physical_footing = False


def _too_few(label: str, joints: int) -> str:
    count = f"only {joints} joints" if joints > 1 else "only one joint"
    return f"{label} has {count}: choose a clip of a whole body, which has at least {FEWEST_BONES}."


def _what_the_map_lacks(label: str, role_map: RoleMap) -> str:
    lacking = [roles.words(role) for role in roles.missing(role_map)]
    if not lacking:
        return ""
    if len(lacking) == len(REQUIRED):
        return (
            f"No body part was recognised among the joints of {label}: choose them in the clip's map (step 2) and "
            "read it again, or choose one of a whole body."
        )
    choose = "choose it" if len(lacking) == 1 else "choose them"
    return (
        f"{label} has no joint for the {listed(lacking, 4)}: {choose} in the clip's map (step 2), then read it again."
    )


def _remember(scene: bpy.types.Scene, origin: Origin) -> None:
    """Where the reference came from; what the sidebar shows to choose from follows."""
    settings = scene_settings(scene)
    settings.reference_kind, settings.reference_label, settings.reference_file = origin.kind, origin.label, origin.file
    source = origin.source
    settings.source_object = source.armature if source is not None else None
    if source is None:
        return
    settings.source_action = settings.source_slot = ""
    if source.action is not None:
        settings.source_action, settings.source_slot = source.action.name, source.slot.identifier
    else:
        settings.source_first, settings.source_last = source.first, source.last
        settings.frames_first, settings.frames_last = source.first, source.last
    settings.reference_object = source.armature
    settings.reference_action = settings.source_action
    settings.reference_slot = settings.source_slot


def read_again_slices(scene: bpy.types.Scene) -> Slices[str]:
    """Put the reference on the body that was just built; returns a warning, "" for none."""
    if not scene_settings(scene).reference_kind:
        return ""
    try:
        return (yield from read_with_map_slices(scene))
    except ClipMapError as error:
        return str(error)
    except (FileError, ActionError, RigError) as error:
        stored_reference.forget_reference(scene)
        return f"The reference could not be read again; choose it again: {error}"


def read_with_map(scene: bpy.types.Scene) -> str:
    """Read the clip anew, from where it came from and with the map that is shown; returns a warning, "" for none.

    Raises FileError, ActionError, RigError, and ClipMapError where the map still does not do.
    """
    return at_once(read_with_map_slices(scene))


def read_with_map_slices(scene: bpy.types.Scene) -> Slices[str]:
    """read_with_map() in slices."""
    clip, origin = yield from _clip_again_slices(scene)
    role_map = stored_avatar.clip_map(scene)
    warning = ""
    if role_map is not None and isinstance(clip, Recording) and not set(role_map.bones.values()) <= set(clip.rig.bones):
        role_map, warning = None, f"{origin.label} has different joints than before: its map was guessed again."
    yield from _keep_slices(scene, clip, role_map, origin, new=False)
    return warning


def clip_recording(scene: bpy.types.Scene) -> Recording:
    """The clip as it was recorded, with its own skeleton. Raises FileError, ActionError or RigError."""
    clip, origin = at_once(_clip_again_slices(scene))
    if not isinstance(clip, Recording):
        raise RigError(f"{origin.label} has no skeleton of its own to map.")
    return clip


def _clip_again_slices(scene: bpy.types.Scene) -> Slices[tuple[Recording | Motion, Origin]]:
    settings = scene_settings(scene)
    if settings.reference_kind == "FILE":
        body, _binding = stored_avatar.body_and_binding(scene)
        path = moved_here(Path(bpy.path.abspath(settings.reference_file)))
        clip = yield from apart(clips.read_file, path, body)
        return clip, Origin(settings.reference_label, file=settings.reference_file)
    armature, action, slot = stored_reference.source_names(scene)
    if armature is None:
        raise ActionError("The clip's armature has been deleted.")
    if settings.reference_kind == "POSE":
        source = Source(armature, None, None, settings.source_first, settings.source_last)
    else:
        source = reference_source.named_source(armature, action, slot)
    return (yield from _recorded_slices(scene, source)), Origin(_label(source), source=source)
