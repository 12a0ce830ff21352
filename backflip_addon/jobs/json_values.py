# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that came out of JSON, or are to go into it: checked, and read by the types of a dataclass's fields."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any, cast

from .json_files import MOST_WHOLE


def is_number(value: Any, least: float, most: float) -> bool:
    """Whether value is a number, no mere truth value, from least to most."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most


def is_whole(value: Any, most: int) -> bool:
    """Whether value is a whole number from 0 to most."""
    return isinstance(value, int) and is_number(value, 0, most)


def json_ready(value: Any) -> Any:
    """value without the numbers in it that are not finite, which JSON does not know: None in their place."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: json_ready(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(item) for item in value]
    return value


def known_values(cls: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """The values in data that are fields of a dataclass, by name; one of another type than its field's is the default.

    The fields are str, bool, int or float, or may be None as well, and have defaults.
    """
    fields = _readers(cast(Hashable, cls))
    return {name: read(data[name], default) for name, read, default in fields if name in data}


def _text(value: Any, default: Any) -> Any:
    return value if isinstance(value, str) else default


def _truth(value: Any, default: Any) -> Any:
    return value if isinstance(value, bool) else default


def _whole(value: Any, default: Any) -> Any:
    return value if is_whole(value, MOST_WHOLE) else default


def _decimal(value: Any, default: Any) -> Any:
    try:
        number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return default
    return number if math.isfinite(number) else default


_READERS: dict[str, Callable[[Any, Any], Any]] = {"str": _text, "bool": _truth, "int": _whole, "float": _decimal}


@functools.cache
def _readers(cls: Hashable) -> list[tuple[str, Callable[[Any, Any], Any], Any]]:
    """Of each field of a dataclass: its name, what reads its value, and its default."""
    fields = dataclasses.fields(cast(type[Any], cls))
    return [(field.name, _READERS[str(field.type).removesuffix(" | None")], field.default) for field in fields]
