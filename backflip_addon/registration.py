# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's properties as types, and the registration of the classes that have them.

Blender finds a property in an annotation that is a call, `mass: FloatProperty(min=0.0)`. To a type checker that is no
type. So we write `mass: Annotated[float, FloatProperty(min=0.0)]`: the checker reads the type in front, and
register_classes() leaves the call alone in the annotation before Blender looks at it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Protocol, TypeVar, cast, get_origin, get_type_hints, overload

import bpy

CONTEXT = "Backflip"  # of translations, in which our word wins: Blender has none of its own there

Item = TypeVar("Item")
Handler = TypeVar("Handler", bound=Callable[..., object])


class Collection(Protocol[Item]):
    """The value of a CollectionProperty, as far as the add-on uses it."""

    def add(self) -> Item: ...
    def remove(self, index: int) -> None: ...
    def move(self, src_index: int, dst_index: int) -> None: ...
    def clear(self) -> None: ...
    def get(self, key: str) -> Item | None: ...
    def find(self, key: str) -> int: ...
    def keys(self) -> list[str]: ...
    def foreach_get(self, attr: str, seq: Any) -> None: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Item]: ...
    def __contains__(self, key: str) -> bool: ...
    @overload
    def __getitem__(self, key: int | str) -> Item: ...
    @overload
    def __getitem__(self, key: slice) -> list[Item]: ...


def persistent(handler: Handler) -> Handler:
    """Blender's own decorator of handlers that stay when another file is opened, with the type it has."""
    return cast(Handler, bpy.app.handlers.persistent(handler))


def add_handlers(handlers: Mapping[str, Callable[..., object]]) -> None:
    """Have Blender call these, by the names of its lists in bpy.app.handlers."""
    for name, handler in handlers.items():
        getattr(bpy.app.handlers, name).append(handler)


def remove_handlers(handlers: Mapping[str, Callable[..., object]]) -> None:
    """Undo add_handlers()."""
    for name, handler in handlers.items():
        getattr(bpy.app.handlers, name).remove(handler)


def register_classes(classes: Iterable[type]) -> None:
    """Register classes with Blender, in this order, with their properties as it wants them."""
    for cls in classes:
        for part in cls.__mro__:  # mix-ins have properties too
            _bare_properties(part)
        bpy.utils.register_class(cls)


def unregister_classes(classes: Iterable[type]) -> None:
    """Unregister classes, the last first."""
    for cls in reversed(tuple(classes)):
        bpy.utils.unregister_class(cls)


def _bare_properties(cls: type) -> None:
    """Replace each Annotated[type, property] in the annotations of the class itself by the property."""
    own = cls.__dict__.get("__annotations__")
    if not own or not cls.__module__.startswith(__package__):
        return
    hints = get_type_hints(cls, include_extras=True)
    own.update({name: hints[name].__metadata__[0] for name in own if get_origin(hints[name]) is Annotated})
