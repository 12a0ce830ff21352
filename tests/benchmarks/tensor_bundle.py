# SPDX-License-Identifier: GPL-3.0-or-later
"""TensorFlow's checkpoint files, read without TensorFlow.

NAME.index is a table as LevelDB writes it (its doc/table_format.md): blocks of keys, each sharing a prefix with the
key before it, and values; a footer of 48 bytes says where the block of blocks is. A value is a BundleEntryProto
(tensorflow/core/protobuf/tensor_bundle.proto): type, shape, and where the numbers stand in NAME.data-00000-of-00001.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from backflip_addon.core.arrays import AnyArray

MAGIC = 0xDB4775248B80FB57
FOOTER = 48  # bytes
TYPES = {1: "<f4", 3: "<i4"}  # tensorflow/core/framework/types.proto


def read(path: Path) -> dict[str, AnyArray]:
    """All tensors of the checkpoint NAME (a path without an ending) by their names. Raises ValueError on others."""
    index = path.with_name(f"{path.name}.index").read_bytes()
    data = path.with_name(f"{path.name}.data-00000-of-00001").read_bytes()
    if struct.unpack("<Q", index[-8:])[0] != MAGIC:
        raise ValueError(f"{path.name}.index is no table of tensors")
    footer = index[-FOOTER:]
    _, at = _handle(footer, 0)
    (start, size), _ = _handle(footer, at)
    tensors = {}
    for _, block in _entries(index[start : start + size]):
        (start, size), _ = _handle(block, 0)
        if index[start + size]:
            raise ValueError(f"{path.name}.index is compressed")
        for key, value in _entries(index[start : start + size]):
            if key:  # the first one is about the bundle itself
                tensors[key.decode()] = _tensor(value, data)
    return tensors


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of one block."""
    restarts = struct.unpack("<I", block[-4:])[0]
    at, key = 0, b""
    while at < len(block) - 4 - 4 * restarts:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : at + own + length]
        at += own + length


def _tensor(entry: bytes, data: bytes) -> AnyArray:
    fields = dict(_fields(entry))
    shape = [
        int(dict(_fields(part)).get(1, 0))
        for number, part in _fields(bytes(fields.get(2, b"")))
        if number == 2 and isinstance(part, bytes)
    ]
    start, size = int(fields.get(4, 0)), int(fields.get(5, 0))
    return np.frombuffer(data[start : start + size], TYPES[int(fields[1])]).reshape(shape)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a message in protobuf's wire format: varints, bytes, and 32 bits (a checksum)."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        value: int | bytes
        if tag & 7 == 0:
            value, at = _varint(message, at)
        elif tag & 7 == 2:
            size, at = _varint(message, at)
            value, at = message[at : at + size], at + size
        elif tag & 7 == 5:
            value, at = message[at : at + 4], at + 4
        else:
            raise ValueError("a field of a kind that tensors do not have")
        yield tag >> 3, value


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Where a block is: offset and size."""
    start, at = _varint(data, at)
    size, at = _varint(data, at)
    return (start, size), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
