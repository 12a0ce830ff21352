# SPDX-License-Identifier: GPL-3.0-or-later
"""Which slot of an action moves which armature, and which bones it moves.

An armature, an action and a slot belong together by what is bound: what the armature plays or holds in its
NLA, then what bears its name; how many bones a slot covers is asked last, and a draw is never decided here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import bpy

from ... import compat
from ..typed_data import rest_bones
from .rna_paths import bone_of

_RIVALS = 0.5  # a slot that covers fewer bones than this share of the best one's is not meant


class ActionError(Exception):
    """An action that cannot be read or written; the message is one sentence for the user."""


class SlotError(ActionError):
    """Several slots of an action fit an armature equally."""


def slots_for(action: bpy.types.Action) -> list[Any]:
    """The slots of an action that can animate an object."""
    return [slot for slot in action.slots if slot.target_id_type in ("OBJECT", "UNSPECIFIED")]


def pick_slot(action: bpy.types.Action, armature: bpy.types.Object, identifier: str = "") -> Any:
    """The slot called identifier, else the armature's own, else the one that alone suits it.

    Raises ActionError, and SlotError where several slots suit the armature.
    """
    slots = slots_for(action)
    if identifier:
        for name in ("identifier", "name_display"):  # a name shown may be the identifier of another one
            if (slot := next((s for s in slots if getattr(s, name) == identifier), None)) is not None:
                return slot
        raise ActionError(f"The action {action.name} has no slot called {identifier}; choose another slot.")
    if not slots:
        raise ActionError(f"The action {action.name} animates no object; choose an action made for an armature.")
    if (slot := own_slot(action, armature)) is not None:
        return slot
    return _alone_suiting(action, armature, slots)


def own_slot(action: bpy.types.Action, armature: bpy.types.Object) -> Any:
    """The slot of an action that belongs to the armature by what is bound or named; None when there is none.

    Raises SlotError where strips of its NLA play several of them.
    """
    data = armature.animation_data
    if data is not None and data.action == action and data.action_slot is not None:
        return data.action_slot
    played = list(dict.fromkeys(slot for other, slot in bindings(data) if other == action))
    if len(played) > 1:
        raise SlotError(_ask(action, armature, played))
    if played:
        return played[0]
    slots = slots_for(action)
    strips = [strip for strip in _strips(data) if strip.action == action]
    names = [owner.last_slot_identifier for owner in ([data] if data is not None else []) + strips]
    for named in [s for name in names for s in slots if s.identifier == name] + [
        s for s in slots if s.name_display == armature.name
    ]:
        if _is_free(named, armature) and bones_moved(action, named, rest_bones(armature)):
            return named
    return None


def bindings(data: bpy.types.AnimData | None) -> Iterator[tuple[bpy.types.Action, Any]]:
    """Every action and slot that an ID plays, or holds in its NLA, muted or not; the active one first."""
    if data is None:
        return
    if data.action is not None and data.action_slot is not None:
        yield data.action, data.action_slot
    for strip in _strips(data):
        if strip.action is not None and strip.action_slot is not None:
            yield strip.action, strip.action_slot


def _strips(data: bpy.types.AnimData | None) -> Iterator[bpy.types.NlaStrip]:
    """All strips of an NLA, those inside of meta strips too."""
    waiting: list[Any] = [strip for track in data.nla_tracks for strip in track.strips] if data is not None else []
    for strip in waiting:  # grows while it is walked
        yield strip
        waiting.extend(strip.strips)


def users_of(action: bpy.types.Action) -> set[bpy.types.Object]:
    """The objects that any slot of an action is bound to."""
    return {user for slot in action.slots for user in slot.users() if isinstance(user, bpy.types.Object)}


def _is_free(slot: Any, armature: bpy.types.Object) -> bool:
    """Whether a slot is nobody's, or the armature's too."""
    users = slot.users()
    return not users or armature in users


def _alone_suiting(action: bpy.types.Action, armature: bpy.types.Object, slots: list[Any]) -> Any:
    """The slot that covers most of the armature's bones. Raises SlotError where others do nearly as well."""
    covers = [bones_moved(action, slot, rest_bones(armature)) for slot in slots]
    most = max(covers)
    suiting = [slot for slot, cover in zip(slots, covers, strict=True) if cover and cover >= _RIVALS * most]
    if len(suiting) > 1:
        raise SlotError(_ask(action, armature, suiting))
    return suiting[0] if suiting else slots[0]


def _ask(action: bpy.types.Action, armature: bpy.types.Object, slots: Iterable[Any]) -> str:
    names = ", ".join(slot.name_display for slot in slots)
    return f"Several slots of the action {action.name} move {armature.name} ({names}): choose the one to imitate."


def bones_moved(action: bpy.types.Action, slot: Any, bones: Any) -> int:
    """How many of an armature's bones a slot of an action animates."""
    return len({name for curve in compat.curves(action, slot) if (name := bone_of(curve.data_path)) in bones})


def moves_bones(action: bpy.types.Action, armature: bpy.types.Object) -> bool:
    """Whether an action animates at least one bone of the armature."""
    return any(bones_moved(action, slot, rest_bones(armature)) for slot in slots_for(action))


def plain_name(name: str) -> str:
    """A name without the number that Blender puts behind one that was taken."""
    return re.sub(r"\.\d{3,}$", "", name)
