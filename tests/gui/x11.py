# SPDX-License-Identifier: GPL-3.0-or-later
"""An X server's mouse, keys and screen, in X's own protocol: nothing is needed beside the server.

Mouse and keys go by the XTEST extension, so that they are the server's and reach a program as a person's do.
Numbers of requests and layouts: X Window System Protocol, version 11, appendix B; XTEST Extension Protocol, 2.2.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]  # (rows, columns, 3): red, green, blue

_QUERY_EXTENSION, _GET_IMAGE, _GET_INPUT_FOCUS, _GET_KEYBOARD_MAPPING = 98, 73, 43, 101
_CONFIGURE_WINDOW, _GET_GEOMETRY, _QUERY_TREE, _X_AND_Y = 12, 14, 15, 3
_ERROR, _REPLY, _Z_PIXMAP = 0, 1, 2
_FAKE_INPUT = 2
_KEY_DOWN, _KEY_UP, _BUTTON_DOWN, _BUTTON_UP, _MOTION = 2, 3, 4, 5, 6
_BETWEEN = 0.03  # s between down and up: a hand is slower

KEYSYMS = {
    **{"Escape": 0xFF1B, "Return": 0xFF0D, "BackSpace": 0xFF08, "Tab": 0xFF09, "Delete": 0xFFFF, "Home": 0xFF50},
    **{"Left": 0xFF51, "Up": 0xFF52, "Right": 0xFF53, "Down": 0xFF54, "End": 0xFF57, "F2": 0xFFBF},
    **{"shift": 0xFFE1, "ctrl": 0xFFE3, "alt": 0xFFE9},
}


class ScreenError(Exception):
    """What is wrong with the screen, in one sentence."""


class Root(NamedTuple):
    """The screen's first window."""

    window: int
    width: int
    height: int


class Screen:
    """A connection to the X server of a display number on this computer."""

    def __init__(self, display: int) -> None:
        self._socket = _connect(display)
        self._root, self._first_key, self._last_key = self._greet()
        self._xtest = self._find_xtest()
        self._keys = self._read_keys()
        self.pointer = (0, 0)

    @property
    def size(self) -> tuple[int, int]:
        return self._root.width, self._root.height

    def close(self) -> None:
        self._socket.close()

    def move(self, x: int, y: int) -> None:
        """Mouse to a point, in two steps: some programs look at how it came."""
        self._fake(_MOTION, 0, x - 2, y)
        self._fake(_MOTION, 0, x, y)
        self.pointer = (x, y)

    def press(self, button: int = 1) -> None:
        """Press and let go a button of the mouse where it is; 4 and 5 are its wheel."""
        self.hold(button)
        time.sleep(_BETWEEN)
        self.let_go(button)

    def hold(self, button: int = 1) -> None:
        self._fake(_BUTTON_DOWN, button)

    def let_go(self, button: int = 1) -> None:
        self._fake(_BUTTON_UP, button)

    def key(self, name: str) -> None:
        """Press a key, with others held: "n", "ctrl+z"."""
        *held, last = name.split("+") if name != "+" else [name]
        shifted, code = self._code(last)
        codes = [self._code(one)[1] for one in (*held, *(["shift"] if shifted else []))]
        for one in codes:
            self._fake(_KEY_DOWN, one)
        self._fake(_KEY_DOWN, code)
        time.sleep(_BETWEEN)
        self._fake(_KEY_UP, code)
        for one in reversed(codes):
            self._fake(_KEY_UP, one)

    def picture(self) -> Picture:
        """What the screen shows."""
        _window, width, height = self._root
        body = struct.pack("<IhhHHI", self._root.window, 0, 0, width, height, 0xFFFFFFFF)
        _detail, _head, pixels = self._ask(_GET_IMAGE, _Z_PIXMAP, body)
        if len(pixels) != width * height * 4:
            raise ScreenError("The display has another depth than 24 bits: start it with a screen of x24.")
        return np.frombuffer(pixels, np.uint8).reshape(height, width, 4)[:, :, 2::-1].copy()

    def fit_windows(self) -> None:
        """Move windows that reach beyond the screen's left or upper edge onto it, as a desktop would have put them."""
        _detail, head, rest = self._ask(_QUERY_TREE, 0, struct.pack("<I", self._root.window))
        for window in struct.unpack_from(f"<{struct.unpack_from('<8xH', head)[0]}I", rest):
            _detail, head, _rest = self._ask(_GET_GEOMETRY, 0, struct.pack("<I", window))
            x, y, width, height = struct.unpack_from("<4xhhHH", head)
            inside = [
                max(min(at, most - size), 0) for at, size, most in ((x, width, self.size[0]), (y, height, self.size[1]))
            ]
            if inside != [x, y]:
                self._send(_CONFIGURE_WINDOW, 0, struct.pack("<IHxxII", window, _X_AND_Y, *inside))

    def _greet(self) -> tuple[Root, int, int]:
        self._socket.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, 0, 0))
        accepted, length = struct.unpack("<BxxxxxH", self._read(8))
        answer = self._read(4 * length)
        if accepted != 1:
            raise ScreenError(f"The X server refuses: {answer.decode(errors='replace').strip()}")
        vendor, formats = struct.unpack_from("<H", answer, 16)[0], answer[21]
        first = 32 + (vendor + 3) // 4 * 4 + 8 * formats
        window, width, height = struct.unpack_from("<I16xHH", answer, first)
        return Root(window, width, height), answer[26], answer[27]

    def _find_xtest(self) -> int:
        name = b"XTEST"
        body = struct.pack("<Hxx", len(name)) + name.ljust(8, b"\0")
        _detail, head, _rest = self._ask(_QUERY_EXTENSION, 0, body)
        if not head[0]:
            raise ScreenError("The X server lacks the extension XTEST, by which mouse and keys are pressed.")
        return head[1]

    def _read_keys(self) -> dict[int, tuple[bool, int]]:
        """Keysym -> whether it needs the shift key, and the key's code."""
        count = self._last_key - self._first_key + 1
        each, _head, rest = self._ask(_GET_KEYBOARD_MAPPING, 0, struct.pack("<BBxx", self._first_key, count))
        symbols = np.frombuffer(rest, "<u4").reshape(count, each)
        keys: dict[int, tuple[bool, int]] = {}
        for column in (1, 0):
            keys |= {int(symbol): (bool(column), self._first_key + i) for i, symbol in enumerate(symbols[:, column])}
        return keys

    def _code(self, name: str) -> tuple[bool, int]:
        keysym = KEYSYMS.get(name) or (ord(name) if len(name) == 1 else 0)
        if keysym not in self._keys:
            raise ScreenError(f"The keyboard of the display has no key {name}.")
        return self._keys[keysym]

    def _fake(self, kind: int, detail: int, x: int = 0, y: int = 0) -> None:
        body = struct.pack("<BBxxII8xhh8x", kind, detail, 0, self._root.window if kind == _MOTION else 0, x, y)
        self._send(self._xtest, _FAKE_INPUT, body)
        self._ask(_GET_INPUT_FOCUS, 0, b"")  # an answer to this one says that the other has been done

    def _send(self, opcode: int, detail: int, body: bytes) -> None:
        self._socket.sendall(struct.pack("<BBH", opcode, detail, 1 + len(body) // 4) + body)

    def _ask(self, opcode: int, detail: int, body: bytes) -> tuple[int, bytes, bytes]:
        """Send a request; returns its reply's second byte, its head of 24 bytes, and what follows."""
        self._send(opcode, detail, body)
        while True:
            packet = self._read(32)
            if packet[0] == _ERROR:
                raise ScreenError(f"The X server refused request {packet[10]} with error {packet[1]}.")
            if packet[0] == _REPLY:
                return packet[1], packet[8:], self._read(4 * struct.unpack_from("<I", packet, 4)[0])

    def _read(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            part = self._socket.recv(count - len(parts))
            if not part:
                raise ScreenError("The X server has ended.")
            parts += part
        return bytes(parts)


def _connect(display: int) -> socket.socket:
    path = f"/tmp/.X11-unix/X{display}"
    for address in (f"\0{path}", path):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(address)
            return connection
        except OSError:
            connection.close()
    raise ScreenError(f"Nothing answers at the display :{display}.")
