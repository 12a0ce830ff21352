# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a command line, made from the groups of properties that the panels show: none is written down twice, and
what a panel gets tomorrow has its option."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import bpy

from ..core.rigs.names import ROLES
from ..scene import stored_avatar
from ..scene.typed_data import subtype
from .console import WrongUse

DEGREES, UNBOUNDED = "ROTATION", 1e9  # the unit of angles, which Blender has in radians
# Which names the items of a list may have
KNOWN_NAMES = {"roles": tuple(ROLES), "clip_roles": tuple(ROLES), "parts": stored_avatar.PARTS}

_LISTS = {
    "roles": "the map of the character's bones (name: the body part)",
    "clip_roles": "the map of the clip's joints (name: the body part)",
    "parts": "the body's parts, factors of what was fitted",
    "loads": "what parts of the body carry",
}

# Properties that another word than train has, and those that are no settings: what is looked at and how
OF_OTHER_WORDS = {"start_frame": "bake", "export_format": "export"}
NO_SETTINGS = frozenset(
    (
        "avatar",  # --character
        *("slot_choice", "goal", "longest", "own_mass"),  # show reference_slot, mode, minutes and mass
        *("takes", "clip_joints"),  # lists that are shown
        *("show_body", "show_ghost", "show_take"),
        *("role_index", "part_index", "clip_role_index", "take_index"),
    )
)


def properties_of(group: Any) -> Iterator[Any]:
    """The properties of a registered PropertyGroup that a user sets."""
    for prop in group.bl_rna.properties:
        if (
            prop.identifier in ("rna_type", "name")
            or prop.is_hidden
            or (prop.is_readonly and prop.type != "COLLECTION")
        ):
            continue
        if prop.type == "POINTER" and prop.fixed_type.identifier != "Object":
            continue
        yield prop


def _turns(prop: Any) -> bool:
    return bool(prop.type == "FLOAT" and prop.unit == DEGREES)


def settings_of(group: Any, word: str) -> list[Any]:
    """The properties of the scene's group that are a word's options."""
    found = [prop for prop in properties_of(group) if prop.identifier not in NO_SETTINGS]
    return [prop for prop in found if OF_OTHER_WORDS.get(prop.identifier, "train") == word]


def flag(prop: Any) -> str:
    return "--" + str(prop.identifier).replace("_", "-")


def written(values: Mapping[str, Any]) -> list[str]:
    """Settings as they are given on a command line."""

    def option(name: str, value: Any) -> str:
        if isinstance(value, bool):
            return f"--{'' if value else 'no-'}{name}"
        return f"--{name} {value:.6g}" if isinstance(value, float) else f"--{name} {value}"

    return [option(name.replace("_", "-"), value) for name, value in values.items()]


def add_options(parser: Any, properties: list[Any]) -> None:
    """An option for each; one that is not given is not in the namespace."""
    for prop in properties:
        keywords: dict[str, Any] = {"dest": prop.identifier, "default": argparse.SUPPRESS, "help": _help(prop)}
        if prop.type == "BOOLEAN":
            parser.add_argument(flag(prop), action=argparse.BooleanOptionalAction, **keywords)
        elif prop.type == "COLLECTION":
            parser.add_argument(flag(prop), action="append", type=_item_of(prop), metavar="FIELD=VALUE,...", **keywords)
        else:
            parser.add_argument(flag(prop), type=reader_of(prop), metavar=_metavar(prop), **keywords)


def _metavar(prop: Any) -> str:
    if prop.type == "ENUM":
        return "{" + ",".join(item.identifier for item in prop.enum_items) + "}"
    kinds: dict[str, str] = {"INT": "N", "FLOAT": "X", "POINTER": "OBJECT"}
    return "DEGREES" if _turns(prop) else kinds.get(str(prop.type), "TEXT")


def _help(prop: Any) -> str:
    words = str(prop.description or prop.name).rstrip(".").replace("%", "%%")
    if prop.type == "COLLECTION":
        names = ["name"] if prop.identifier in KNOWN_NAMES else []
        fields = ", ".join([*names, *(part.identifier for part in properties_of(prop.fixed_type))])
        return f"One item of {_LISTS.get(prop.identifier, 'a list')}: {fields}. May be given several times"
    if prop.type == "ENUM":
        meanings = "; ".join(f"{item.identifier}: {item.description or item.name}" for item in prop.enum_items)
        return f"{words} ({meanings.replace('%', '%%')})"
    default = getattr(prop, "default", None)
    if _turns(prop):
        return f"{words} (degrees, {math.degrees(default or 0.0):g})"
    if prop.type in ("INT", "FLOAT") and default is not None:
        return f"{words} ({default:g})"
    return words


def reader_of(prop: Any) -> Callable[[str], Any]:
    """Reads a value of a property from a text, in Blender's units. Raises argparse.ArgumentTypeError."""

    def read(text: str) -> Any:
        if prop.type == "ENUM":
            return _one_of(text, [item.identifier for item in prop.enum_items])
        if prop.type == "BOOLEAN":
            return _one_of(text.lower(), ["true", "false"]) == "true"
        if prop.type in ("INT", "FLOAT"):
            return _number(text, prop)
        if "\0" in text:
            raise argparse.ArgumentTypeError("a text cannot hold a zero byte")
        return text

    return read


def _one_of(text: str, known: list[str]) -> str:
    if text not in known:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(known)}")
    return text


def _number(text: str, prop: Any) -> float | int:
    whole = prop.type == "INT"
    try:
        value: float | int = int(text) if whole else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a {'whole number' if whole else 'number'}") from None
    least, most = prop.hard_min, prop.hard_max
    factor = 180 / math.pi if _turns(prop) else 1.0
    if not (math.isfinite(value) and least * factor - 1e-4 <= value <= most * factor + 1e-4):
        if least <= -UNBOUNDED:
            raise argparse.ArgumentTypeError(f"{text} is too far from 0")
        upper = f" to {most * factor:g}" if most < UNBOUNDED else " upwards"
        raise argparse.ArgumentTypeError(f"{text} is not within {least * factor:g}{upper}")
    return value if whole else min(max(value / factor, least), most)


def _item_of(prop: Any) -> Callable[[str], dict[str, Any]]:
    """Reads "name=thigh,strength=1.2"."""
    fields = {part.identifier: reader_of(part) for part in properties_of(prop.fixed_type)}
    known = KNOWN_NAMES.get(prop.identifier)
    if known:
        fields = {"name": str, **fields}

    def read(text: str) -> dict[str, Any]:
        item: dict[str, Any] = {}
        for part in text.split(","):
            key, equals, value = part.partition("=")
            if not equals or key not in fields:
                raise argparse.ArgumentTypeError(f"{part!r} is none of {', '.join(f'{f}=...' for f in fields)}")
            item[key] = fields[key](value)
        if known and item.get("name") not in known:
            raise argparse.ArgumentTypeError(f"name={item.get('name', '')} is none of {', '.join(known)}")
        return item

    return read


def given_of(options: argparse.Namespace, properties: list[Any]) -> dict[str, Any]:
    """What was given of these properties, in the order in which they are declared."""
    names = [prop.identifier for prop in properties]
    return {name: getattr(options, name) for name in names if hasattr(options, name)}


def apply(scene: bpy.types.Scene, group: Any, given: Mapping[str, Any]) -> None:
    """Set the properties of a group to what was given. Raises WrongUse for an object that is not there."""
    for name, value in given.items():
        prop = group.bl_rna.properties[name]
        if prop.type == "COLLECTION":
            _apply_items(getattr(group, name), value, by_name=name in KNOWN_NAMES)
        elif prop.type == "POINTER":
            ob = stored_avatar.object_named(scene, value)
            if ob is None or ob.type != "ARMATURE":
                raise WrongUse(f"There is no armature called {value} in this scene ({flag(prop)}).")
            setattr(group, name, ob)
        else:
            setattr(group, name, value)


def _apply_items(items: Any, given: list[dict[str, Any]], by_name: bool) -> None:
    for values in given:
        item = items.get(values["name"]) if by_name else None
        item = subtype(items.add()) if item is None else item
        for name, value in values.items():
            setattr(item, name, value)
