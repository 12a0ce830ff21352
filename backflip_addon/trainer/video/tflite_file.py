# SPDX-License-Identifier: GPL-3.0-or-later
"""A TensorFlow Lite file as plain data: its tensors, its constants, its operations in order.

Field numbers and codes: tensorflow/compiler/mlir/lite/schema/schema.fbs, version 3. Constants that are stored sparse
or as half floats come out dense, as 32-bit floats.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np

from ...core.arrays import AnyArray, IntArray
from ...core.files import read_limited
from .flatbuffer import DamagedBuffer, Table

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
