# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways in which a file can be damaged, or made to do damage; the same seed makes the same file."""

from __future__ import annotations

import contextlib
import io
import json
import random
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

NUMBERS = (
    *("nan", "NaN", "inf", "-Infinity", "1e400", "-1e400", "9" * 400, "9" * 5000, "1e308", "1e39", "1e-320", "-0.0"),
    *("0", "-1", "2000000000", "4294967296", "9223372036854775808", "0x10", "1_000", "²", "", "x", "1e", "--1", "1,5"),
)
SHAPES = ("()", "(0,)", "(-1,)", "(3,)", "(500000000, 156)", "(2, 2)", "(4, 156, 1)", "(True,)", "(1e9,)", "5")
DTYPES = ("'|O'", "'<f4'", "'<c16'", "'<U9'", "'|S0'", "'<M8[s]'", "[('a', '<f8')]", "'<f2'", "'|b1'", "'<U99999999'")
_RAW = "\x02"  # marks a number that json would not write


def mutate(random_: random.Random, kind: str, data: bytes) -> bytes:
    """A damaged copy: mostly damaged as its kind can be, sometimes as any file can."""
    for _ in range(random_.choice((1, 1, 1, 2, 3))):
        if not data:
            break
        way = _KINDS.get(kind, _bytes) if random_.random() < 0.75 else _bytes
        with contextlib.suppress(Exception):
            data = way(random_, data)  # some ways need a file that is still sound
    return data


def _bytes(random_: random.Random, data: bytes) -> bytes:
    at = random_.randrange(len(data))
    size = random_.choice((1, 2, 4, 16, 200))
    hostile = random_.choice((b"\xff" * 4, b"\0" * 4, b"\x80\0\0\0", b"\0\0\0\x7f", struct.pack("<f", float("nan"))))
    ways: list[Callable[[], bytes]] = [
        lambda: data[:at],
        lambda: data[at:],
        lambda: data[:at] + bytes([data[at] ^ (1 << random_.randrange(8))]) + data[at + 1 :],
        lambda: data[:at] + random_.randbytes(size) + data[at + size :],
        lambda: data[:at] + hostile + data[at + len(hostile) :],
        lambda: data[:at] + data[at + size :],
        lambda: data[:at] + data[at : at + size] * 3 + data[at:],
        lambda: data[:at] + bytes(size) + data[at:],
        lambda: data + random_.randbytes(size),
        lambda: random_.choice((b"", b"5", b"[]", b"null", b"\xef\xbb\xbf" + data, b"\xff\xfe" + data)),
    ]
    return random_.choice(ways)()


def _text(random_: random.Random, data: bytes) -> bytes:
    lines = data.decode("utf-8", "replace").splitlines(keepends=True)
    at = random_.randrange(len(lines))
    way = random_.randrange(9)
    if way <= 3:
        lines[at] = _other_number(random_, lines[at])
    elif way == 4:
        del lines[at]
    elif way == 5:
        lines.insert(random_.randrange(len(lines)), lines[at])
    elif way == 6:
        lines[at] = lines[at] * random_.choice((2, 500))
    elif way == 7:
        words = lines[at].split()
        lines[at] = " ".join(words[: random_.randrange(len(words) + 1)]) + "\n"
    else:
        text = "".join(lines)
        codings = ("utf-16", "utf-8-sig", "latin-1", "utf-32")
        other = random_.choice((text.replace("\n", "\r"), text.upper(), "é" + text))
        return other.encode(random_.choice(codings), "replace")
    return "".join(lines).encode()


def _other_number(random_: random.Random, line: str) -> str:
    found = list(re.finditer(r"-?\d+(\.\d+)?", line))
    if not found:
        return line + random_.choice(NUMBERS)
    one = random_.choice(found)
    return line[: one.start()] + random_.choice(NUMBERS) + line[one.end() :]


def _json(random_: random.Random, data: bytes) -> bytes:
    return _write(_changed(random_, json.loads(data)))


def _write(value: Any) -> bytes:
    """JSON in which a text that begins with the mark stands for the number after it."""
    text = json.dumps(value, ensure_ascii=False)
    return re.sub(r'"\\u0002([^"]*)"', r"\1", text).encode()


def _changed(random_: random.Random, value: Any) -> Any:
    """The value with one part of it changed, as deep as chance goes."""
    if isinstance(value, dict) and value and random_.random() < 0.9:
        key = random_.choice(list(value))
        way = random_.random()
        if way < 0.1:
            return {k: v for k, v in value.items() if k != key}
        if way < 0.15:
            return {k + "x" * (k == key): v for k, v in value.items()}
        return value | {key: _changed(random_, value[key])}
    if isinstance(value, list) and value and random_.random() < 0.9:
        at = random_.randrange(len(value))
        way = random_.random()
        if way < 0.05:
            return value[:at] + value[at + 1 :]
        if way < 0.1:
            return value + [value[at]] * random_.choice((1, 3000))
        return value[:at] + [_changed(random_, value[at])] + value[at + 1 :]
    return _hostile(random_, value)


def _hostile(random_: random.Random, value: Any) -> Any:
    numbers = [_RAW + number for number in NUMBERS if re.fullmatch(r"-?(\d+(\.\d+)?(e-?\d+)?|NaN|Infinity)", number)]
    deep: Any = 5
    for _ in range(random_.choice((5, 300))):
        deep = [deep]
    others = (None, True, False, "", "x", "é\ud800\0", "x" * 5000, [], {}, [[]], {"": {}}, deep, [value], {"a": value})
    return random_.choice(numbers) if random_.random() < 0.6 else random_.choice(others)


# Archives of arrays


def _npz(random_: random.Random, data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    at = random_.randrange(len(members))
    name, member = members[at]
    way = random_.randrange(10)
    if way <= 2:
        members[at] = name, _array_header(random_, member)
    elif way == 3:
        members[at] = name, _array_numbers(random_, member)
    elif way == 4:
        members[at] = name, _bytes(random_, member) if member else b""
    elif way == 5:
        del members[at]
    elif way == 6:
        members.append((random_.choice((name, "../x.npy", "/x.npy", "x", "", "x.npy")), member))
    elif way == 7:
        members[at] = name, member + bytes(random_.choice((1, 500_000)))
    elif way == 8:
        return member  # a single array by the name of an archive
    else:
        members += [(f"{i}.npy", member) for i in range(random_.choice((3, 300)))]
    return _zip(random_, members)


def _zip(random_: random.Random, members: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    packing = random_.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(buffer, "w", packing) as out, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two members of one name
        for name, member in members:
            out.writestr(zipfile.ZipInfo(name), member, packing)
    data = bytearray(buffer.getvalue())
    if random_.random() < 0.3:  # what the directory says of a member: how it is packed, how large it is
        entries = [found.start() for found in re.finditer(b"PK\x01\x02", data)]
        at = random_.choice(entries) + random_.choice((8, 10, 16, 20, 24, 28, 42))
        data[at : at + 4] = random_.choice((b"\x01\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\0", random_.randbytes(4)))
    return bytes(data)


def _array_header(random_: random.Random, member: bytes) -> bytes:
    """An array whose header says something else of its shape, its kind or itself."""
    length = struct.unpack_from("<H", member, 8)[0]
    text = member[10 : 10 + length].decode("latin-1")
    way = random_.randrange(4)
    if way == 0:
        text = re.sub(r"'shape': \([^)]*\)", lambda _: f"'shape': {random_.choice(SHAPES)}", text)
    elif way == 1:
        text = re.sub(r"'descr': '[^']*'", lambda _: f"'descr': {random_.choice(DTYPES)}", text)
    elif way == 2:
        text = text.replace("False", random_.choice(("True", "5", "None")))
    else:
        text = random_.choice(("", "{}", "[]", "{" * 3000, "5", "x" * 40_000, text.replace("'shape'", "'form'")))
    return member[:8] + struct.pack("<H", len(text)) + text.encode("latin-1") + member[10 + length :]


def _array_numbers(random_: random.Random, member: bytes) -> bytes:
    """An array with one number that is none."""
    start = 10 + struct.unpack_from("<H", member, 8)[0]
    at = start + 8 * random_.randrange(max((len(member) - start) // 8, 1))
    number = random_.choice((float("nan"), float("inf"), -1e300, 1e40))
    return member[:at] + struct.pack("<d", number) + member[at + 8 :]


# glTF


def _gltf(random_: random.Random, data: bytes) -> bytes:
    length = struct.unpack_from("<I", data, 12)[0]
    text, binary = data[20 : 20 + length], data[28 + length :]
    way = random_.random()
    if way < 0.6:
        text = _write(_changed_inside(random_, json.loads(text)))
    elif way < 0.8 and binary:
        at = 4 * random_.randrange(max(len(binary) // 4, 1))
        binary = binary[:at] + struct.pack("<f", random_.choice((float("nan"), float("inf"), 1e38))) + binary[at + 4 :]
    text += b" " * (-len(text) % 4)
    sizes = [12 + 8 + len(text) + 8 + len(binary), len(text), len(binary)]
    if way > 0.9:
        sizes[random_.randrange(3)] = random_.choice((0, 1, 8, 2**31, 2**32 - 1, len(text) * 2))
    head = struct.pack("<4sIIII", b"glTF", 2, sizes[0], sizes[1], 0x4E4F534A)
    return head + text + struct.pack("<II", sizes[2], 0x004E4942) + binary


def _changed_inside(random_: random.Random, content: dict[str, Any]) -> dict[str, Any]:
    """Content changed where sizes and ties between its parts stand, more often than by chance."""
    names = [n for n in ("accessors", "bufferViews", "nodes", "skins", "animations", "meshes") if content.get(n)]
    if not names or random_.random() < 0.3:
        return _changed(random_, content)
    name = random_.choice(names)
    return content | {name: _changed(random_, content[name])}


_KINDS: dict[str, Callable[[random.Random, bytes], bytes]] = {"text": _text, "json": _json, "npz": _npz, "gltf": _gltf}
