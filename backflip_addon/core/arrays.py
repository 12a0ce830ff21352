# SPDX-License-Identifier: GPL-3.0-or-later
"""The types of the arrays that the package passes around, and the letters by which docstrings give their shapes.

    F frames            L links of a body           B bones of a rig
    N bodies, copies    V vertices of a skin        J joints of a file
    T times             S control steps             ... any number of leading axes, broadcast

A shape stands beside the name that has it: position (F, 3), rotations (F, L, 4). Positions are metres in the
world's frame (z up), quaternions (w, x, y, z) of unit length, angles radians, where nothing else is said.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]  # what all geometry and physics is worked out in
Float32Array: TypeAlias = NDArray[np.float32]  # what Blender's buffers and networks take
IntArray: TypeAlias = NDArray[np.integer[Any]]  # indices and counts
ByteArray: TypeAlias = NDArray[np.uint8]  # pixels
BoolArray: TypeAlias = NDArray[np.bool_]  # masks
AnyArray: TypeAlias = NDArray[Any]  # numbers or text of a file, before they are looked at
