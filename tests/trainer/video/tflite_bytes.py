# SPDX-License-Identifier: GPL-3.0-or-later
"""A small TensorFlow Lite file written by hand, so that the reader and the runner are tested without any network."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

CODES = {"float32": 0, "float16": 1, "int32": 2}


def table(**fields: Any) -> dict[int, Any]:
    """A table: f0=..., f3=... by field number; an int is stored in four bytes, all else is led to."""
    return {int(name[1:]): value for name, value in fields.items()}


def write(root: dict[int, Any]) -> bytes:
    """The file whose root is that table; lists are vectors of tables, arrays vectors of numbers."""
    data = bytearray(struct.pack("<I4s", 0, b"TFL3"))
    struct.pack_into("<I", data, 0, _place(data, root))
    return bytes(data)


def _place(data: bytearray, thing: Any) -> int:
    """Append a thing and then what it leads to; returns where it stands."""
    data += b"\0" * (-len(data) % 4)
    slots: list[tuple[int, Any]] = []
    if isinstance(thing, dict):
        count = max(thing, default=-1) + 1
        offsets = [0] * count
        for n, field in enumerate(thing):
            offsets[field] = 4 + 4 * n
        vtable = len(data)
        data += struct.pack(f"<HH{count}H", 4 + 2 * count, 4 + 4 * len(thing), *offsets)
        data += b"\0" * (-len(data) % 4)
        place = len(data)
        data += struct.pack("<i", place - vtable)
        for value in thing.values():
            if isinstance(value, int):
                data += struct.pack("<i", value)
            else:
                slots.append((len(data), value))
                data += bytes(4)
    else:
        place = len(data)
        data += struct.pack("<I", len(thing))
        if isinstance(thing, np.ndarray):
            data += thing.tobytes()
        else:
            slots = [(len(data) + 4 * i, one) for i, one in enumerate(thing)]
            data += bytes(4 * len(thing))
    for slot, value in slots:
        struct.pack_into("<I", data, slot, _place(data, value) - slot)
    return place


def network(
    tensors: list[dict[str, Any]], operators: list[dict[str, Any]], inputs: list[int], outputs: list[int]
) -> bytes:
    """A network's file. tensors: shape, name; data of constants; sparsity, a table. operators: code, inputs, outputs,
    options, a table."""
    buffers: list[Any] = [table()]
    made = []
    for tensor in tensors:
        fields = {0: np.array(tensor["shape"], np.int32), 2: 0, 3: np.frombuffer(tensor["name"].encode(), np.uint8)}
        if "data" in tensor:
            fields[1], fields[2] = CODES[str(tensor["data"].dtype)], len(buffers)
            buffers.append(table(f0=np.frombuffer(tensor["data"].tobytes(), np.uint8)))
        if "sparsity" in tensor:
            fields[6] = tensor["sparsity"]
        made.append(fields)
    codes = [table(f0=operator["code"], f3=operator["code"]) for operator in operators]
    steps = []
    for n, operator in enumerate(operators):
        ends = {1: np.array(operator["inputs"], np.int32), 2: np.array(operator["outputs"], np.int32)}
        steps.append({0: n, **ends, **({4: operator["options"]} if "options" in operator else {})})
    graph = table(f0=made, f1=np.array(inputs, np.int32), f2=np.array(outputs, np.int32), f3=steps)
    return write(table(f0=3, f1=codes, f2=[graph], f4=buffers))


def sparsity(order: list[int], levels: list[Any]) -> dict[int, Any]:
    """levels: a size for a dense one, (segments, indices) for a sparse one."""
    made = []
    for level in levels:
        if isinstance(level, int):
            made.append(table(f0=0, f1=level))
        else:
            segments, indices = (table(f0=np.array(values, np.int32)) for values in level)
            made.append(table(f0=1, f2=1, f3=segments, f4=1, f5=indices))
    return table(f0=np.array(order, np.int32), f2=made)
