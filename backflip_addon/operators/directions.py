# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a take: the Shoot panel's fields <-> core.direction.Direction, presets and the user's own."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Annotated, Any

import bpy
import numpy as np
from bpy.app.translations import pgettext_iface as translated
from bpy.props import IntProperty, StringProperty

from .. import preferences
from ..core.direction import PRESETS, Direction, Vector
from ..jobs.json_files import JobError, read_json, write_json
from ..settings import BackflipDirection, scene_settings
from ..settings.direction import SWEEPS
from ..wording import in_parts
from .base import INTERNAL, Returned, Step, current_scene, window_manager

MOST_SAVED = 200  # of the user's own
MOST_BYTES = 64_000
LONGEST_NAME = 60
UNDIRECTED = "As Trained"

# Fields that both have under the same name, and the same unit
_SAME = (
    *("push_at", "push_link", "gravity", "mass", "strength", "fatigue", "clumsiness", "clumsiness_time", "delay"),
    *("drunk", "start_noise", "tone", "reflex"),
)


def direction_of(fields: BackflipDirection) -> Direction:
    """What the fields ask for. Raises JobError where that makes no sense."""
    values: dict[str, Any] = {name: getattr(fields, name) for name in _SAME}
    values["push_impulse"] = impulse_of(fields)
    if not fields.push:
        values = {name: value for name, value in values.items() if not name.startswith("push_")}
    values["friction"] = fields.friction if fields.own_floor else None
    values["slope_deg"], values["slope_heading_deg"] = math.degrees(fields.slope), math.degrees(fields.slope_heading)
    loads: dict[str, float] = {}
    for load in fields.loads:
        loads[load.part] = loads.get(load.part, 0.0) + load.kilograms
    values["part_mass"] = {part: kilograms for part, kilograms in loads.items() if kilograms > 0.0}
    values["falls_at"] = fields.falls_at if fields.gives_up else math.nan
    # Blender keeps single precision: 9.81 comes back as 9.8100004
    values = {key: _rounded(value) for key, value in values.items()}
    try:
        return Direction.from_json(Direction(**values).to_json())
    except ValueError as error:
        raise JobError(str(error)) from error


def name_of(direction: Direction) -> str:
    """What is asked for by the name of its preset, or in a few words."""
    for preset, known in PRESETS.items():
        if known == direction:
            return translated(preset)
    words = in_parts(direction.words())
    return words[:1].upper() + words[1:] or translated(UNDIRECTED)


def title_of(fields: BackflipDirection) -> str:
    """What the fields ask for by the name of its preset, or in a few words. Raises JobError as direction_of()."""
    title = name_of(direction_of(fields))
    if fields.sweep:
        label = next(label for name, label, _meaning in SWEEPS if name == fields.sweep_what)
        swept = f"{translated(label)}: {fields.sweep_from:.3g} … {fields.sweep_to:.3g}"
        title = swept if title == translated(UNDIRECTED) else f"{title}, {swept}"
    return title


def set_direction(fields: BackflipDirection, direction: Direction) -> None:
    """Have the fields ask for a direction; what it leaves open is as trained."""
    for name in _SAME:
        setattr(fields, name, getattr(direction, name))
    fields.push = direction.pushes
    if direction.pushes:
        x, y, z = direction.push_impulse
        fields.push_strength = math.hypot(x, y, z)
        fields.push_heading, fields.push_elevation = math.atan2(x, -y), math.atan2(z, math.hypot(x, y))
    fields.own_floor = direction.friction is not None
    if direction.friction is not None:
        fields.friction = direction.friction
    fields.slope = math.radians(direction.slope_deg)
    fields.slope_heading = math.radians(direction.slope_heading_deg)
    fields.loads.clear()
    for part, kilograms in direction.part_mass.items():
        load = fields.loads.add()
        load.part, load.kilograms = part, kilograms
    fields.gives_up = direction.gives_up
    if direction.gives_up:
        fields.falls_at = direction.falls_at


def impulse_of(fields: BackflipDirection, strength: float | None = None) -> Vector:
    """The push, N s, in the simulation's frame, where the character faces -Y. strength: another one than asked for."""
    strength = fields.push_strength if strength is None else strength
    level, up = strength * math.cos(fields.push_elevation), strength * math.sin(fields.push_elevation)
    return level * math.sin(fields.push_heading), -level * math.cos(fields.push_heading), up


def swept(fields: BackflipDirection) -> list[Direction]:
    """The direction of each take that is asked for. Raises JobError where one makes no sense."""
    direction = direction_of(fields)
    if not fields.sweep:
        return [direction] * fields.count
    values = np.linspace(fields.sweep_from, fields.sweep_to, max(fields.count, 2)).tolist()[: fields.count]
    return [_with(fields, direction, fields.sweep_what, value) for value in values]


def words_of(fields: BackflipDirection) -> str:
    """What is asked of the takes, for a report: "slippery; gravity, m/s², from 2 to 10"; "" for nothing."""
    words = direction_of(fields).words()
    if fields.sweep:
        about = next(meaning for name, _label, meaning in SWEEPS if name == fields.sweep_what)
        swept = f"{about[:1].lower()}{about[1:]}, from {fields.sweep_from:g} to {fields.sweep_to:g}"
        words = "; ".join(filter(None, (words, swept)))
    return words


def _with(fields: BackflipDirection, direction: Direction, what: str, value: float) -> Direction:
    """The direction with one value of settings.direction.SWEEPS."""
    changes: dict[str, Any] = {what: value}
    if what == "push_strength":
        changes = {"push_impulse": impulse_of(fields, value), "push_at": fields.push_at, "push_link": fields.push_link}
    elif what == "push_at" and not fields.push:
        raise JobError("Nothing is pushed: switch Push on to change its time from take to take.")
    elif what == "slope":
        changes = {"slope_deg": value}
    elif what == "clumsiness":
        changes = {"clumsiness": math.radians(value)}
    try:
        rounded = {key: _rounded(part) for key, part in changes.items()}
        return Direction.from_json(dataclasses.replace(direction, **rounded).to_json())
    except ValueError as error:
        raise JobError(str(error)) from error


def _rounded(value: Any) -> Any:
    """Numbers without what single precision adds to them."""
    if isinstance(value, float):
        return round(float(f"{value:.6g}"), 5)
    if isinstance(value, tuple):
        return tuple(_rounded(part) for part in value)
    return {key: _rounded(part) for key, part in value.items()} if isinstance(value, dict) else value


# The user's own


def saved_directions() -> dict[str, Path]:
    """The user's own presets, by name. Nothing is raised: where there is no folder there are none."""
    try:
        files = sorted(_folder().glob("*.json"))[:MOST_SAVED]
    except (OSError, JobError):
        return {}
    return {file.stem: file for file in files if file.is_file()}


def read_direction(name: str) -> Direction:
    """A preset by its name, the user's own before those that come with the add-on. Raises JobError."""
    if name == UNDIRECTED:
        return Direction()
    file = saved_directions().get(name)
    if file is None:
        if name not in PRESETS:
            raise JobError(f"There is no preset called {name}.")
        return PRESETS[name]
    try:
        return Direction.from_json(read_json(file, MOST_BYTES, follow=True))
    except ValueError as error:
        raise JobError(f"{file.name} cannot be used: {error}") from error


def save_direction(name: str, direction: Direction) -> Path:
    """Keep a direction as one of the user's own presets. Raises JobError."""
    stem = re.sub(r"[^\w +-]+", "_", name).strip(" ._")[:LONGEST_NAME]
    if not stem:
        raise JobError("Give the preset a name of letters or numbers.")
    if stem in PRESETS or stem == UNDIRECTED:
        raise JobError(f"{stem} comes with the add-on: choose another name.")
    file = _folder() / f"{stem}.json"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, direction.to_json())
    except OSError as error:
        raise JobError(f"{file} cannot be written: {error.strerror or error}.") from error
    return file


def _folder() -> Path:
    return preferences.data_folder("directions")


class UseDirection(Step, bpy.types.Operator):
    """Use the settings of this preset, and no others"""

    bl_idname = "backflip.use_direction"
    bl_label = "Use Preset"
    bl_options = {"REGISTER", "UNDO"}

    name: Annotated[str, StringProperty(name="Preset", description="The preset's name", options=INTERNAL)]

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        preset = PRESETS.get(properties.name)
        words = preset.words() if preset else ""
        return f"Shoot {words}" if words else cls.__doc__ or ""

    def run(self, context: bpy.types.Context) -> None:
        set_direction(scene_settings(current_scene(context)).direction, read_direction(self.name))


class SaveDirection(Step, bpy.types.Operator):
    """Save these settings as a preset of your own, for use in all files"""

    bl_idname = "backflip.save_direction"
    bl_label = "Save Preset"

    name: Annotated[str, StringProperty(name="Name", description="What to call the preset", options={"SKIP_SAVE"})]

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> Returned:
        return window_manager(context).invoke_props_dialog(self)

    def run(self, context: bpy.types.Context) -> None:
        file = save_direction(self.name, direction_of(scene_settings(current_scene(context)).direction))
        self.report({"INFO"}, f"Saved as {file.stem}.")


class DeleteDirection(Step, bpy.types.Operator):
    """Delete this preset"""

    bl_idname = "backflip.delete_direction"
    bl_label = "Delete Preset"

    name: Annotated[str, StringProperty(name="Preset", description="The preset's name", options=INTERNAL)]

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Returned:
        return self.confirm(context, event, self.name)

    def run(self, _context: bpy.types.Context) -> None:
        file = saved_directions().get(self.name)
        if file is None:
            raise JobError(f"You have no preset called {self.name}.")
        try:
            file.unlink()
        except OSError as error:
            raise JobError(f"{file} cannot be deleted: {error.strerror or error}.") from error
        self.report({"INFO"}, f"Deleted the preset {self.name}.")


class AddLoad(Step, bpy.types.Operator):
    """Make a part of the body carry something"""

    bl_idname = "backflip.add_load"
    bl_label = "Add Load"
    bl_options = {"REGISTER", "UNDO"}

    def run(self, context: bpy.types.Context) -> None:
        scene_settings(current_scene(context)).direction.loads.add()


class RemoveLoad(Step, bpy.types.Operator):
    """Remove this load"""

    bl_idname = "backflip.remove_load"
    bl_label = "Remove Load"
    bl_options = {"REGISTER", "UNDO"}

    index: Annotated[int, IntProperty(name="Index", options=INTERNAL)]

    def run(self, context: bpy.types.Context) -> None:
        loads = scene_settings(current_scene(context)).direction.loads
        if not 0 <= self.index < len(loads):
            raise JobError("There is no such load.")
        loads.remove(self.index)


CLASSES = (UseDirection, SaveDirection, DeleteDirection, AddLoad, RemoveLoad)
