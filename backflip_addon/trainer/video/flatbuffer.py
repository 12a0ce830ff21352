# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading FlatBuffers without their library: tables, vectors and texts, each offset held against the file's end.

A table begins with the distance back to its vtable; the vtable holds, for field n of the schema, the distance from the
table's begin to the field, 0 where it has its default. Vectors, texts and tables inside a table are reached by an
offset from where the offset stands (FlatBuffers, "FlatBuffer internals"). All numbers are little-endian.
"""

from __future__ import annotations

import struct

import numpy as np

from ...core.arrays import AnyArray

MOST_TABLES = 100_000  # of one vector: the largest network here has 700 operators

_SIZES = {"b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "f": 4}


class DamagedBuffer(ValueError):
    """A buffer that contradicts itself; the message is a clause without a full stop."""


class Table:
    """One table of a buffer. Fields are asked for by their number in the schema, counted from 0."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data, self._position = data, position
        self._vtable = position - _number(data, position, "i")
        self._fields = (_number(data, self._vtable, "H") - 4) // 2
        if self._fields < 0:
            raise DamagedBuffer("a table has no fields")

    @classmethod
    def root(cls, data: bytes, identifier: bytes) -> Table:
        """The table that a file begins with. Raises DamagedBuffer where the file is of another kind."""
        if data[4:8] != identifier:
            raise DamagedBuffer("it is of another kind")
        return cls(data, _number(data, 0, "I"))

    def _place(self, field: int) -> int:
        """Where a field's value stands, 0 where it has its default."""
        offset = _number(self._data, self._vtable + 4 + 2 * field, "H") if field < self._fields else 0
        return self._position + offset if offset else 0

    def number(self, field: int, kind: str, default: int = 0) -> int:
        """A whole number. kind: as in the module struct."""
        place = self._place(field)
        return int(_number(self._data, place, kind)) if place else default

    def table(self, field: int) -> Table | None:
        """The table that a field leads to."""
        place = self._place(field)
        return Table(self._data, _target(self._data, place)) if place else None

    def tables(self, field: int) -> list[Table]:
        """The tables of a vector of them."""
        start, count = self._vector(field, 4)
        if count > MOST_TABLES:
            raise DamagedBuffer("it has too many parts")
        return [Table(self._data, _target(self._data, start + 4 * i)) for i in range(count)]

    def numbers(self, field: int, dtype: str) -> AnyArray:
        """A vector of numbers, a view of the buffer. dtype: numpy's, little-endian."""
        kind = np.dtype(dtype)
        start, count = self._vector(field, kind.itemsize)
        return np.frombuffer(self._data, kind, count, start) if count else np.zeros(0, kind)

    def text(self, field: int) -> str:
        """A text, "" where there is none."""
        start, count = self._vector(field, 1)
        return self._data[start : start + count].decode("utf-8", "replace")

    def _vector(self, field: int, size: int) -> tuple[int, int]:
        """Where the items of a vector begin and how many there are, each of size bytes."""
        place = self._place(field)
        if not place:
            return 0, 0
        start = _target(self._data, place)
        count = _number(self._data, start, "I")
        if start + 4 + count * size > len(self._data):
            raise DamagedBuffer("a list is longer than the file")
        return start + 4, count


def _target(data: bytes, place: int) -> int:
    return place + _number(data, place, "I")


def _number(data: bytes, place: int, kind: str) -> int:
    if not 0 <= place <= len(data) - _SIZES[kind]:
        raise DamagedBuffer("a part lies beyond the file's end")
    value: int = struct.unpack_from(f"<{kind}", data, place)[0]
    return value
