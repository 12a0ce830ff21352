# SPDX-License-Identifier: GPL-3.0-or-later
"""A TensorFlow Lite file as plain data: its tensors, its constants, its operations in order.

Field numbers and codes: tensorflow/compiler/mlir/lite/schema/schema.fbs, version 3. Constants that are stored sparse
or as half floats come out dense, as 32-bit floats.

It is a FlatBuffer (FlatBuffers, "FlatBuffer internals"), read without their library, each offset held against the
file's end.
"""

from __future__ import annotations

import dataclasses
import math
import struct
from pathlib import Path

import numpy as np

from ...core.arrays import AnyArray, IntArray
from ...core.files import read_limited

MOST_TABLES = 100_000  # of one vector: the largest network here has 700 operators

_SIZES = {"b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "f": 4}

MOST_BYTES = 64_000_000  # of a network's file; the largest of BlazePose has 28 MB
MOST_VALUES = 50_000_000  # of one tensor
IDENTIFIER = b"TFL3"

_DTYPES = {0: "<f4", 1: "<f2", 2: "<i4", 3: "u1", 4: "<i8", 9: "i1"}  # TensorType
KINDS = {  # BuiltinOperator, those that the networks here have
    0: "ADD",
    2: "CONCATENATION",
    3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D",
    5: "DEPTH_TO_SPACE",
    6: "DEQUANTIZE",
    14: "LOGISTIC",
    17: "MAX_POOL_2D",
    22: "RESHAPE",
    23: "RESIZE_BILINEAR",
    34: "PAD",
    124: "DENSIFY",
}
# name -> field, struct's kind, default
_OPTIONS: dict[str, dict[str, tuple[int, str, int]]] = {
    "CONV_2D": {
        **{"padding": (0, "b", 0), "stride_w": (1, "i", 0), "stride_h": (2, "i", 0), "activation": (3, "b", 0)},
        **{"dilation_w": (4, "i", 1), "dilation_h": (5, "i", 1)},
    },
    "DEPTHWISE_CONV_2D": {
        **{"padding": (0, "b", 0), "stride_w": (1, "i", 0), "stride_h": (2, "i", 0), "activation": (4, "b", 0)},
        **{"dilation_w": (5, "i", 1), "dilation_h": (6, "i", 1)},
    },
    "ADD": {"activation": (0, "b", 0)},
    "MAX_POOL_2D": {
        **{"padding": (0, "b", 0), "stride_w": (1, "i", 0), "stride_h": (2, "i", 0)},
        **{"width": (3, "i", 0), "height": (4, "i", 0), "activation": (5, "b", 0)},
    },
    "CONCATENATION": {"axis": (0, "i", 0), "activation": (1, "b", 0)},
    "RESIZE_BILINEAR": {"align_corners": (2, "b", 0), "half_pixel_centers": (3, "b", 0)},
    "DEPTH_TO_SPACE": {"block_size": (0, "i", 0)},
}


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


class UnreadableNetwork(ValueError):
    """A file that holds no network that can be run; the message is one sentence for the user."""


@dataclasses.dataclass(frozen=True)
class Operation:
    """One step. inputs, outputs: indices of tensors, -1 for one that is left out. options: by their schema's names."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, int]


@dataclasses.dataclass(frozen=True)
class NetworkFile:
    """What a file says of a network. Pictures are (N, H, W, C).

    shapes: of each tensor. constants: tensor -> its values. input: the tensor to fill. outputs: name -> tensor.
    """

    shapes: tuple[tuple[int, ...], ...]
    constants: dict[int, AnyArray]
    operations: tuple[Operation, ...]
    input: int
    outputs: dict[str, int]


def read_network(path: Path) -> NetworkFile:
    """Read a network. Raises UnreadableNetwork with one sentence, and OSError."""
    data = read_limited(path, MOST_BYTES, follow=True)
    try:
        return _network(Table.root(data, IDENTIFIER))
    except (ValueError, IndexError, ArithmeticError) as error:
        words = str(error) if isinstance(error, DamagedBuffer) else "its parts do not fit together"
        raise UnreadableNetwork(f"{path.name} is not a network that Backflip can run: {words}.") from error


def _network(model: Table) -> NetworkFile:
    codes = [max(code.number(0, "b"), code.number(3, "i")) for code in model.tables(1)]
    graph, buffers = model.tables(2)[0], model.tables(4)
    tensors = graph.tables(0)
    shapes = tuple(_shape(tensor) for tensor in tensors)
    constants = {
        i: _constant(tensor, buffers[tensor.number(2, "I")], shapes[i])
        for i, tensor in enumerate(tensors)
        if len(buffers[tensor.number(2, "I")].numbers(0, "u1"))
    }
    operations = []
    for operator in graph.tables(3):
        operation = _operation(operator, codes, len(tensors))
        source = operation.inputs[0]
        if operation.kind in ("DEQUANTIZE", "DENSIFY") and source in constants:
            constants[operation.outputs[0]] = constants[source].astype(np.float32)
        else:
            operations.append(operation)
    inputs, outputs = graph.numbers(1, "<i4"), graph.numbers(2, "<i4")
    named = {tensors[i].text(3): int(i) for i in outputs}
    return NetworkFile(shapes, constants, tuple(operations), int(inputs[0]), named)


def _shape(tensor: Table) -> tuple[int, ...]:
    shape = tuple(int(size) for size in tensor.numbers(0, "<i4"))
    if any(size < 0 for size in shape) or math.prod(shape) > MOST_VALUES:
        raise DamagedBuffer("a tensor has no sensible size")
    return shape


def _operation(operator: Table, codes: list[int], tensors: int) -> Operation:
    code = codes[operator.number(0, "I")]
    if code not in KINDS:
        raise DamagedBuffer(f"it needs the operation {code}, which is not known")
    kind, options = KINDS[code], operator.table(4)
    inputs, outputs = (tuple(int(i) for i in operator.numbers(field, "<i4")) for field in (1, 2))
    if not inputs or not outputs or not all(-1 <= i < tensors for i in inputs) or not 0 <= outputs[0] < tensors:
        raise DamagedBuffer("an operation names a tensor that is not there")
    known = _OPTIONS.get(kind, {})
    return Operation(
        kind,
        inputs,
        outputs,
        {
            name: options.number(field, how, default) if options else default
            for name, (field, how, default) in known.items()
        },
    )


def _constant(tensor: Table, buffer: Table, shape: tuple[int, ...]) -> AnyArray:
    kind = tensor.number(1, "b")
    if kind not in _DTYPES:
        raise DamagedBuffer("a tensor holds something else than numbers")
    values = buffer.numbers(0, "u1").view(_DTYPES[kind])
    sparsity = tensor.table(6)
    dense = _dense(values, shape, sparsity) if sparsity is not None else values
    return dense.reshape(shape)


def _dense(values: AnyArray, shape: tuple[int, ...], sparsity: Table) -> AnyArray:
    """The values of a sparse tensor at their places, zeros elsewhere.

    A sparse tensor is a tree whose levels are its axes in traversal_order, those of blocks after its own; a level is
    dense, or lists for each node of the level above which places are taken (Kjolstad et al. 2017, "The tensor algebra
    compiler"). Level by level, all nodes at once.
    """
    order, blocks = sparsity.numbers(0, "<i4"), sparsity.numbers(1, "<i4")
    levels = sparsity.tables(2)
    rank = len(shape)
    if len(levels) != len(order) or len(order) != rank + len(blocks) or sorted(order) != list(range(len(order))):
        raise DamagedBuffer("a sparse tensor has other axes than it says")
    nodes: IntArray = np.zeros(1, np.int64)
    places: list[IntArray] = []  # one array per level, of all nodes so far
    for level in levels:
        if level.number(0, "b") == 0:
            size = level.number(1, "i")
            if not 0 < size * len(nodes) <= MOST_VALUES:
                raise DamagedBuffer("a sparse tensor has no sensible size")
            counts: IntArray = np.full(len(nodes), size)
            own: IntArray = np.tile(np.arange(size), len(nodes))
            nodes = np.repeat(nodes * size, size) + own
        else:
            segments, indices = _index_vector(level, 2), _index_vector(level, 4)
            starts, counts = segments[nodes], segments[nodes + 1] - segments[nodes]
            if bool((counts < 0).any()) or counts.sum() > len(values):
                raise DamagedBuffer("a sparse tensor has no sensible size")
            within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            nodes = np.repeat(starts, counts) + within
            own = indices[nodes]
        places = [np.repeat(place, counts) for place in places] + [own]
    if len(nodes) != len(values):
        raise DamagedBuffer("a sparse tensor has other values than places")
    return _scattered(values, shape, order, blocks, levels, places)


def _scattered(
    values: AnyArray,
    shape: tuple[int, ...],
    order: IntArray,
    blocks: IntArray,
    levels: list[Table],
    places: list[IntArray],
) -> AnyArray:
    rank = len(shape)
    sizes = {int(axis): levels[rank + i].number(1, "i") for i, axis in enumerate(blocks)}
    coordinates = [np.zeros(len(values), np.int64) for _ in shape]
    for level, axis in enumerate(order):
        if axis < rank:
            coordinates[axis] += places[level] * sizes.get(int(axis), 1)
        else:
            coordinates[blocks[axis - rank]] += places[level]
    dense = np.zeros(shape, values.dtype)
    if any(np.any((c < 0) | (c >= size)) for c, size in zip(coordinates, shape, strict=True)):
        raise DamagedBuffer("a sparse tensor has a value outside itself")
    dense[tuple(coordinates)] = values
    return dense


def _index_vector(level: Table, field: int) -> IntArray:
    """A level's segments (field 2) or indices (field 4): a union of vectors of several widths."""
    width = {1: "<i4", 2: "<u2", 3: "u1"}.get(level.number(field, "B"))
    vector = level.table(field + 1)
    if width is None or vector is None:
        raise DamagedBuffer("a sparse tensor lacks its places")
    return vector.numbers(0, width).astype(np.int64)
