# SPDX-License-Identifier: GPL-3.0-or-later
"""What an FBX file says of its own size, held against what is there before an importer believes it.

In a binary file an array says how long it is once unpacked, and a node how many properties it has; importers
allocate both. A text file holds nothing packed: its size alone is its measure.
"""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path

from ..files import open_regular, read_limited
from ..reading import UnreadableFile, told

MOST_BYTES = 1_000_000_000  # of a file; a character with its textures has 200 MB
MOST_TEXT_BYTES = 256_000_000  # of a text file; a number takes two letters or more, and eight bytes once it is read
MOST_UNPACKED_BYTES = 1_000_000_000  # of all arrays together
OLDEST_OF_ADDON = 7100  # the version that Blender's FBX add-on reads, and those since
MOST_DEPTH = 100  # of nodes in nodes; files have six
MOST_NODES = 2_000_000

_MAGIC = b"Kaydara FBX Binary\x20\x20\x00\x1a\x00"
_TEXT_HEAD = re.compile(rb"^\s*(?:;\s*FBX\s+\d|FBXHeaderExtension\s*:)", re.MULTILINE)
_TEXT_HEAD_BYTES = 8_192  # of a text file, within which it says that it is FBX
_TEXT_LENGTH = re.compile(rb"\*(\d+)\s*\{")  # of an array: Vertices: *24 {
_FIXED = {b"Z": 1, b"Y": 2, b"B": 1, b"C": 1, b"I": 4, b"F": 4, b"D": 8, b"L": 8}
_ARRAYS = {b"b": 1, b"c": 1, b"i": 4, b"l": 8, b"f": 4, b"d": 8}


@told
def check_fbx(path: Path) -> None:
    """Raises UnreadableFile with one sentence where a file's nodes or arrays aren't what they say."""
    data = read_limited(path, MOST_BYTES, follow=True)
    if data.startswith(_MAGIC):
        _check_binary(data)
    elif _TEXT_HEAD.search(data[:_TEXT_HEAD_BYTES]):
        _check_text(path.name, data)
    else:
        raise UnreadableFile(f"{path.name} is damaged, or not an FBX file: export it again as binary FBX, or as GLB.")


@told
def is_old_or_text(path: Path) -> bool:
    """Whether a file is text, or of a version that only Blender's newer importer reads. Raises UnreadableFile."""
    with open_regular(path, follow=True) as file:
        head = file.read(len(_MAGIC) + 4)
    return not head.startswith(_MAGIC) or int.from_bytes(head[len(_MAGIC) :], "little") < OLDEST_OF_ADDON


def _check_text(name: str, data: bytes) -> None:
    if len(data) > MOST_TEXT_BYTES:
        raise UnreadableFile(f"{name} is a text of more than {MOST_TEXT_BYTES / 1e6:.0f} MB: export it as binary FBX.")
    if any(len(found[1]) > 12 or int(found[1]) > len(data) for found in _TEXT_LENGTH.finditer(data)):
        raise ValueError("an array is cut off, or longer than it says")


def _check_binary(data: bytes) -> None:
    version = struct.unpack_from("<I", data, len(_MAGIC))[0]
    unpacked = nodes = 0
    head = struct.Struct("<QQQB" if version >= 7500 else "<IIIB")
    ends: list[int] = []  # of the nodes that we are in
    at = len(_MAGIC) + 4
    while at + head.size <= len(data):
        while ends and at >= ends[-1]:
            if at > ends.pop():
                raise ValueError("a part is longer than it says")
        end, count, length, name = head.unpack_from(data, at)
        if end == 0:  # a list of nodes ends
            if not ends:
                return
            at += head.size
            continue
        at += head.size + name
        nodes += 1
        if not at + length <= end <= (ends[-1] if ends else len(data)) or count > length:
            raise ValueError("a part is longer than it says")
        if len(ends) >= MOST_DEPTH or nodes > MOST_NODES:
            raise ValueError("its parts are too many, or nested too deeply")
        unpacked += _check_properties(data, at, count, at + length)
        if unpacked > MOST_UNPACKED_BYTES:
            raise ValueError(f"it unpacks to more than {MOST_UNPACKED_BYTES / 1e6:.0f} MB")
        at += length
        ends.append(end)
    raise ValueError("it is cut off")


def _check_properties(data: bytes, at: int, count: int, end: int) -> int:
    """Whether a node's properties end where it says; returns how many bytes they unpack to."""
    unpacked = 0
    for _ in range(count):
        kind = data[at : at + 1]
        at += 1
        if kind in _FIXED:
            at += _FIXED[kind]
        elif kind in (b"S", b"R"):
            at += 4 + struct.unpack_from("<I", data, at)[0]
        elif kind in _ARRAYS:
            length, encoding, stored = struct.unpack_from("<III", data, at)
            at += 12
            if at + stored > end:
                raise ValueError("an array is longer than its part")
            size = length * _ARRAYS[kind]
            _check_array(data[at : at + stored], size, encoding)
            unpacked += size
            at += stored
        else:
            raise ValueError("a property is of an unknown kind")
        if at > end:
            raise ValueError("a property is longer than its part")
    if at != end:
        raise ValueError("a part has other properties than it says")
    return unpacked


def _check_array(stored: bytes, size: int, encoding: int) -> None:
    if size > MOST_UNPACKED_BYTES:
        raise ValueError(f"an array unpacks to more than {MOST_UNPACKED_BYTES / 1e6:.0f} MB")
    if encoding == 0 and len(stored) == size:
        return
    if encoding == 1:
        unpacker, found = zlib.decompressobj(), 0
        while not unpacker.eof and found <= size and (part := unpacker.decompress(stored, 1 << 20)):
            found, stored = found + len(part), unpacker.unconsumed_tail
        if unpacker.eof and found == size:
            return
    raise ValueError("an array is cut off, or longer than it says")
