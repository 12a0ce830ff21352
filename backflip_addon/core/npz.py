# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of arrays (npz): written whole, read with limits and without pickles.

What is read is held against its limits before anything is unpacked or allocated. numpy's own np.load does neither:
an array's header may ask it for terabytes.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike

from .arrays import AnyArray
from .files import read_limited, write_whole
from .reading import MOST_FILE_BYTES

MOST_UNPACKED_BYTES = 200_000_000  # of what a clip's archive holds: MOST_FRAMES of a body with fingers
MOST_MEMBERS = 100  # of an archive
_ENCRYPTED = 0x1  # of a zip member's flags (APPNOTE.TXT, section 4.4.4)


def write_npz(path: Path, arrays: Mapping[str, ArrayLike], compressed: bool = True) -> None:
    """Write arrays to an npz file, whole or not at all. Raises OSError."""
    packed = pack_npz(arrays, compressed)  # in memory: numpy tells a full disk, met while it writes, otherwise
    write_whole(path, lambda file: file.write(packed))


def pack_npz(arrays: Mapping[str, ArrayLike], compressed: bool = True) -> bytes:
    """Arrays as the bytes of an npz file."""
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **{name: np.asarray(a) for name, a in arrays.items()})
    return buffer.getvalue()


def npz_names(path: Path) -> set[str]:
    """The names of the arrays in an npz file."""
    with zipfile.ZipFile(io.BytesIO(read_limited(path, MOST_FILE_BYTES, follow=True))) as archive:
        return set(_members(archive, MOST_UNPACKED_BYTES))


def read_npz(
    path: Path, most: int = MOST_UNPACKED_BYTES, only: Collection[str] = (), follow: bool = True
) -> dict[str, AnyArray]:
    """The arrays of an npz file: numbers, truth values and text, no objects. Raises ValueError and zipfile's errors.

    most: bytes unpacked, of all members or of those in only, where only is given.
    """
    return unpack_npz(io.BytesIO(read_limited(path, min(most, MOST_FILE_BYTES), follow)), most, only)


def unpack_npz(file: BinaryIO, most: int, only: Collection[str] = ()) -> dict[str, AnyArray]:
    """read_npz() of an open file."""
    with zipfile.ZipFile(file) as archive:
        members = _members(archive, most, only)
        return {name: _array(archive, member, most) for name, member in members.items()}


def _members(archive: zipfile.ZipFile, most: int, only: Collection[str] = ()) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > MOST_MEMBERS:
        raise ValueError(f"it holds {len(infos)} parts")
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.filename.removesuffix(".npy")
        if name == info.filename or name in found or info.flag_bits & _ENCRYPTED:
            raise ValueError("it is not an archive of arrays")
        if not only or name in only:
            found[name] = info
    if sum(info.file_size for info in found.values()) > most:
        raise ValueError(f"it unpacks to more than {most / 1e6:.0f} MB")
    return found


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> AnyArray:
    """One array, whose header is held against the bytes that are there before anything is allocated."""
    with archive.open(info) as member:
        npy: Any = np.lib.format  # numpy gives its functions no types
        version = npy.read_magic(member)
        if version not in ((1, 0), (2, 0)):
            raise ValueError("an array is of a later kind than is known")
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        try:
            shape, by_columns, dtype = read_header(member)
        except Exception as error:  # numpy gives advice on how to read it all the same
            raise ValueError("an array's header cannot be read") from error
        if dtype.hasobject or dtype.names is not None or dtype.subdtype is not None or dtype.kind not in "biufUS":
            raise ValueError("an array holds something else than numbers and text")
        if dtype.itemsize == 0 or any(not isinstance(n, int) or n < 0 for n in shape):
            raise ValueError("an array has no sensible size")
        size = math.prod(shape) * dtype.itemsize
        if size > most or size > info.file_size:
            raise ValueError("an array is larger than what is there")
        data = member.read(size)
    if len(data) != size:
        raise ValueError("an array is cut off")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if by_columns else "C").copy()
