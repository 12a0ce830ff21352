# SPDX-License-Identifier: GPL-3.0-or-later
"""What a glTF, GLB or VRM file says of its own size, held against what is there before anything is unpacked.

Of a few kilobytes a file can make gigabytes: an accessor that says it has 300 million numbers, views that lie
over one another, nodes that are their own children. Importers believe it all.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import os
import struct
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..arrays import AnyArray
from ..files import open_regular, read_limited
from ..reading import MOST_JOINTS, UnreadableFile, finite, parse_json, told

MOST_BYTES = 1_000_000_000  # of a file; a character with many textures has 200 MB
MOST_JSON_BYTES = 64_000_000  # of a GLB's JSON part
MOST_SHARED = 4  # times all buffers together that accessors may unpack to: a view may serve several
MOST_EMPTY_BYTES = 16_000_000  # of accessors without data, which are all zeros
MOST_PACKED_BYTES = 200_000_000  # of those whose data Draco has packed
MOST_ANIMATED = 500_000  # nodes times animations: Blender looks at each for each
MOST_ITEMS = 20_000  # of nodes, accessors, views, meshes ...; a character has some hundreds
MOST_USED = 100_000_000  # numbers of meshes and animations: parts may share what is stored once
MOST_DEPTH = 500  # of nodes in nodes: importers go down by recursion

_KINDS = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_MESHOPT = ("EXT_meshopt_compression", "KHR_meshopt_compression")  # Blender reads it from 5.2
# What meshopt packs, and what it does to the numbers -> the strides they may have; the decoder writes as it is told
_MESHOPT_STRIDES = {"ATTRIBUTES": range(4, 257, 4), "TRIANGLES": (2, 4), "INDICES": (2, 4)}
_MESHOPT_FILTERS = {"OCTAHEDRAL": (4, 8), "QUATERNION": (8,), "EXPONENTIAL": range(4, 257, 4), "COLOR": (4, 8)}
_LISTS = ("nodes", "accessors", "bufferViews", "buffers", "meshes", "skins", "animations", "images", "materials")


@dataclasses.dataclass(frozen=True)
class Gltf:
    """A file whose sizes are sound. buffers: what each holds."""

    content: dict[str, Any]
    buffers: list[bytes]

    def numbers(self, index: int) -> AnyArray:
        """An accessor's stored numbers (N, width), not copied; what a sparse one changes is left out."""
        accessor = self.content["accessors"][index]
        kind, width = _form(accessor)
        if "bufferView" not in accessor:
            return np.zeros((accessor["count"], width), kind)
        view = self.content["bufferViews"][accessor["bufferView"]]
        start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        strides = (view.get("byteStride") or kind.itemsize * width, kind.itemsize)
        return np.ndarray((accessor["count"], width), kind, self.buffers[view["buffer"]], start, strides)


@told
def read_gltf(path: Path) -> Gltf:
    """Read a file and check its sizes, its indices and its numbers. Raises UnreadableFile with one sentence."""
    content, binary = _split(path)
    for name in _LISTS:
        items = content.get(name, [])
        if not isinstance(items, list) or len(items) > MOST_ITEMS or not all(isinstance(i, dict) for i in items):
            raise ValueError(f"its {name} are not a list of at most {MOST_ITEMS:,} parts")
    if len(content.get("animations", ())) * len(content.get("nodes", ())) > MOST_ANIMATED:
        raise ValueError("it has too many animations for its nodes")
    later = [_whole(buffer, "byteLength") for buffer in content.get("buffers", []) if _is_unpacked_later(buffer)]
    if sum(later) > MOST_PACKED_BYTES:
        raise ValueError("it unpacks to more than such a file may")
    buffers = [_buffer(buffer, binary, path) for buffer in content.get("buffers", [])]
    for image in content.get("images", []):
        if isinstance(uri := image.get("uri"), str) and not uri.startswith("data:"):
            beside(path, uri)
    gltf = Gltf(content, buffers)
    _check_views(gltf)
    _check_accessors(gltf)
    _check_nodes(content)
    _check_numbers(gltf)
    return gltf


@told
def read_content(path: Path) -> dict[str, Any]:
    """The JSON of a file alone, nothing checked. Raises UnreadableFile."""
    return _split(path)[0]


def _split(path: Path) -> tuple[dict[str, Any], bytes]:
    """The JSON and the binary part of a GLB, or of a plain glTF."""
    with open_regular(path, follow=True) as file:
        begin = file.read(20)
        binary = b""
        if begin[:4] == b"glTF":
            if len(begin) < 20:
                raise ValueError("it is cut off in its first line")
            version, _whole, length, kind = struct.unpack_from("<4I", begin, 4)
            if version != 2 or kind != 0x4E4F534A:
                raise ValueError("its first part is not glTF 2")
            if length > MOST_JSON_BYTES or os.fstat(file.fileno()).st_size > MOST_BYTES:
                raise ValueError("it is larger than a character can be")
            text = _part_of(file, length, "description")
            head = file.read(8)
            if len(head) == 8:
                binary = _part_of(file, struct.unpack_from("<I", head)[0], "data")
        else:
            if os.fstat(file.fileno()).st_size > MOST_BYTES:
                raise ValueError(f"it is larger than {MOST_BYTES / 1e6:.0f} MB")
            text = begin + file.read()
    content = parse_json(text)
    if not isinstance(content, dict):
        raise ValueError("it holds no glTF")
    return content, binary


def _part_of(file: BinaryIO, length: int, name: str) -> bytes:
    """The bytes that follow in a file, which must be there: reading allocates what is asked for."""
    if length > os.fstat(file.fileno()).st_size - file.tell():
        raise ValueError(f"it is cut off in its {name}")
    return file.read(length)


def _buffer(buffer: dict[str, Any], binary: bytes, path: Path) -> bytes:
    uri, length = buffer.get("uri"), _whole(buffer, "byteLength")
    if _is_unpacked_later(buffer):
        data = bytes(length)
    elif uri is None:
        data = binary
    elif not isinstance(uri, str):
        raise ValueError("a buffer's place is not text")
    elif uri.startswith("data:"):
        try:
            data = base64.b64decode(uri.partition(",")[2], validate=True)
        except binascii.Error as error:
            raise ValueError("a buffer's data cannot be decoded") from error
    else:
        try:
            data = read_limited(beside(path, uri), MOST_BYTES, follow=True)
        except FileNotFoundError:
            raise UnreadableFile(
                f"{path.name} needs {uri[:80]!r}, which is not beside it: put it there, or export it as GLB."
            ) from None
    if length > len(data):
        raise ValueError("a buffer is shorter than it says")
    return data[:length]


def beside(path: Path, uri: str) -> Path:
    """The file that a glTF names, which must lie beside it or in a folder there. Raises UnreadableFile."""
    name = Path(urllib.parse.unquote(uri))
    file = path.parent / name
    if "\0" in str(name) or ":" in uri or "\\" in str(name) or name.is_absolute() or ".." in name.parts:
        raise UnreadableFile(f"{path.name} names a file outside its folder, {uri[:80]!r}: export it as GLB instead.")
    if not file.resolve().is_relative_to(path.parent.resolve()) or (file.exists() and not file.is_file()):
        raise UnreadableFile(f"{path.name} names {uri[:80]!r}, no file of its folder: export it as GLB instead.")
    return file


def _whole(item: dict[str, Any], key: str, default: int | None = None) -> int:
    """A count, an offset or an index. Raises ValueError."""
    value = item.get(key, default)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise ValueError(f"its {key} {str(value)[:40]!r} is not a sensible number")
    item[key] = value
    return value


def _part(items: list[Any], index: int, kind: str) -> dict[str, Any]:
    if index >= len(items):
        raise ValueError(f"it names {kind} {index} of {len(items)}")
    part: dict[str, Any] = items[index]
    return part


def _form(accessor: dict[str, Any]) -> tuple[np.dtype[Any], int]:
    kind, width = accessor.get("componentType"), accessor.get("type")
    if kind not in _KINDS or width not in _WIDTHS:
        raise ValueError("its numbers are of an unknown kind")
    return np.dtype(_KINDS[kind]).newbyteorder("<"), _WIDTHS[width]


def meshopt(item: dict[str, Any]) -> dict[str, Any] | None:
    """What a view or a buffer says of being packed by meshopt; None where it is not."""
    extensions = item.get("extensions") or {}
    return next((extensions[name] for name in _MESHOPT if name in extensions), None)


def _is_unpacked_later(buffer: dict[str, Any]) -> bool:
    """Whether a buffer holds nothing: its numbers are in another one, packed by meshopt."""
    return buffer.get("uri") is None and bool((meshopt(buffer) or {}).get("fallback"))


def _check_packed(view: dict[str, Any], packed: dict[str, Any], buffers: list[bytes]) -> None:
    """Whether a view that meshopt has packed unpacks to what it says."""
    buffer, stride = _whole(packed, "buffer"), _whole(packed, "byteStride")
    if buffer >= len(buffers) or _whole(packed, "byteOffset", 0) + _whole(packed, "byteLength") > len(buffers[buffer]):
        raise ValueError("a packed view is longer than its buffer")
    kind, filter_ = packed.get("mode", ""), packed.get("filter", "NONE")
    known = stride in _MESHOPT_STRIDES.get(kind, ()) and (
        filter_ == "NONE" or stride in _MESHOPT_FILTERS.get(filter_, ())
    )
    if (
        not known
        or _whole(packed, "count") * stride != view["byteLength"]
        or (kind == "TRIANGLES" and packed["count"] % 3)
    ):
        raise ValueError("a packed view unpacks to another size than it says")


def _check_views(gltf: Gltf) -> None:
    for view in gltf.content.get("bufferViews", []):
        if (packed := meshopt(view)) is not None:
            _whole(view, "byteLength")
            _check_packed(view, packed, gltf.buffers)
        buffer = _whole(view, "buffer")
        if buffer >= len(gltf.buffers):
            raise ValueError(f"it names buffer {buffer} of {len(gltf.buffers)}")
        if _whole(view, "byteOffset", 0) + _whole(view, "byteLength") > len(gltf.buffers[buffer]):
            raise ValueError("a view is longer than its buffer")
        if _whole(view, "byteStride", 0) > 252:
            raise ValueError("a view's stride is none")


def _check_accessors(gltf: Gltf) -> None:
    """Every accessor's numbers lie within its view, and all of them together are of a sensible size."""
    accessors, views = gltf.content.get("accessors", []), gltf.content.get("bufferViews", [])
    packed = "KHR_draco_mesh_compression" in (gltf.content.get("extensionsUsed") or [])
    empty_most = MOST_PACKED_BYTES if packed else MOST_EMPTY_BYTES
    most = empty_most + MOST_SHARED * sum(len(buffer) for buffer in gltf.buffers)
    total = empty = 0
    for accessor in accessors:
        kind, width = _form(accessor)
        count, size = _whole(accessor, "count"), kind.itemsize * width
        total += count * size
        if "bufferView" in accessor:
            view = _part(views, _whole(accessor, "bufferView"), "view")
            _check_fits(view, _whole(accessor, "byteOffset", 0), count, size)
        else:
            empty += count * size
        if "sparse" in accessor:
            _check_sparse(accessor["sparse"], views, count, size)
        if total > most or empty > empty_most:
            raise ValueError("it unpacks to more than such a file may")


def _check_fits(view: dict[str, Any], offset: int, count: int, size: int) -> None:
    stride = view.get("byteStride") or size
    if count and (stride < size or offset + stride * (count - 1) + size > view["byteLength"]):
        raise ValueError(f"it says it has {count:,} numbers where fewer are")


def _check_sparse(sparse: dict[str, Any], views: list[Any], count: int, size: int) -> None:
    changed = _whole(sparse, "count")
    if changed > count:
        raise ValueError("it changes more numbers than there are")
    for part in ("indices", "values"):
        item = sparse[part]
        view = _part(views, _whole(item, "bufferView"), "view")
        each = np.dtype(_KINDS[item["componentType"]]).itemsize if part == "indices" else size
        _check_fits(view, _whole(item, "byteOffset", 0), changed, each)


def _check_nodes(content: dict[str, Any]) -> None:
    """Nodes form trees, not too deep; skins and scenes name nodes that are there."""
    nodes = content.get("nodes", [])
    children = [_indices(node, "children", len(nodes)) for node in nodes]
    for skin in content.get("skins", []):
        if len(_indices(skin, "joints", len(nodes))) > MOST_JOINTS:
            raise ValueError(f"it has more than {MOST_JOINTS:,} bones")
    below = [child for list_ in children for child in list_]
    if len(set(below)) < len(below):
        raise ValueError("a node has two parents")
    level, seen, depth = sorted(set(range(len(nodes))) - set(below)), 0, 0
    while level:
        seen, depth = seen + len(level), depth + 1
        if depth > MOST_DEPTH:
            raise ValueError("its nodes are nested too deeply")
        level = [child for node in level for child in children[node]]
    if seen < len(nodes):
        raise ValueError("a node is its own parent")


def _indices(item: dict[str, Any], key: str, count: int) -> list[int]:
    found = item.get(key, [])
    if not isinstance(found, list) or any(not isinstance(i, int) or not 0 <= i < count for i in found):
        raise ValueError(f"its {key} name parts that are not there")
    return found


def _check_numbers(gltf: Gltf) -> None:
    """Positions, bones' rest poses and keys are finite; NaN for a normal or a tangent does no harm."""
    accessors, checked, used = gltf.content.get("accessors", []), set(), 0
    for index, moves in _used(gltf.content):
        if not isinstance(index, int) or not 0 <= index < len(accessors):
            raise ValueError(f"it names numbers {str(index)[:20]} of {len(accessors)}")
        used += accessors[index]["count"] * _form(accessors[index])[1]
        if used > MOST_USED:
            raise ValueError("its meshes and animations are larger than a character's can be")
        if index in checked or not moves:
            continue
        checked.add(index)
        if accessors[index]["componentType"] == 5126 and not finite(gltf.numbers(index)):
            raise ValueError("it holds numbers that are not finite")


def _used(content: dict[str, Any]) -> Iterator[tuple[int, bool]]:
    """The accessors that are unpacked, each as often as it is used, and whether its numbers place something."""
    for mesh in content.get("meshes", []):
        for primitive in mesh.get("primitives", []):
            for attributes in (primitive.get("attributes", {}), *primitive.get("targets", [])):
                for name, index in attributes.items():
                    yield index, name == "POSITION"
            if "indices" in primitive:
                yield primitive["indices"], False
    for skin in content.get("skins", []):
        if "inverseBindMatrices" in skin:
            yield skin["inverseBindMatrices"], True
    for animation in content.get("animations", []):
        samplers = animation.get("samplers", [])
        for sampler in samplers:
            yield sampler["input"], True
            yield sampler["output"], True
        for channel in animation.get("channels", []):
            yield _part(samplers, _whole(channel, "sampler"), "sampler")["output"], False
