# SPDX-License-Identifier: GPL-3.0-or-later
"""A TensorFlow Lite network run by torch: a dozen operations, as TensorFlow Lite's own kernels define them.

Pictures go in and come out as (N, H, W, C); inside they are (N, C, H, W), as torch has them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ...core.arrays import AnyArray, Float32Array
from .tflite_file import NetworkFile, Operation, UnreadableNetwork, read_network

Tensors = dict[int, Any]  # torch's, by tensor
Step = Callable[[Tensors], Any]

_SAME = 0  # Padding
_MISFITS = (KeyError, IndexError, ValueError, TypeError, RuntimeError, ArithmeticError)
_ACTIVATIONS: dict[int, Callable[[Any], Any]] = {
    0: lambda x: x,
    1: functional.relu,
    2: lambda x: x.clamp(-1.0, 1.0),
    3: functional.relu6,
}


class Network:
    """A network that can be run, on any number of pictures at once.

    wanted: the outputs that will be looked at; what no other needs is left out. All where none are named.
    """

    def __init__(self, file: NetworkFile, wanted: Collection[str] = ()) -> None:
        self._input, self._outputs = file.input, {n: i for n, i in file.outputs.items() if not wanted or n in wanted}
        try:
            shape = file.shapes[file.input]
            self._operations = _needed(file.operations, set(self._outputs.values()))
            self._steps = [_build(operation, file) for operation in self._operations]
        except _MISFITS as error:
            raise UnreadableNetwork("The network has parts that do not fit together.") from error
        if not set(wanted) <= self._outputs.keys() or len(shape) != 4:
            raise UnreadableNetwork("The network is another one: it takes or gives something else.")
        self.size = shape[1:3]
        self._last_use = {i: n for n, operation in enumerate(self._operations) for i in operation.inputs}

    @classmethod
    def load(cls, path: Path, wanted: Collection[str] = ()) -> Network:
        """Read a network's file. Raises UnreadableNetwork and OSError."""
        return cls(read_network(path), wanted)

    def __call__(self, pictures: Any) -> dict[str, Float32Array]:
        """Run pictures (N, H, W, C), torch's floats; the outputs by name, pictures as (N, H, W, C)."""
        kept = set(self._outputs.values())
        with torch.inference_mode():
            tensors: Tensors = {self._input: pictures.permute(0, 3, 1, 2)}
            for n, (operation, step) in enumerate(zip(self._operations, self._steps, strict=True)):
                tensors[operation.outputs[0]] = step(tensors)
                for i in operation.inputs:
                    if self._last_use[i] == n and i not in kept:
                        tensors.pop(i, None)
            return {name: _channels_last(tensors[i]).numpy() for name, i in self._outputs.items()}


def _needed(operations: tuple[Operation, ...], wanted: set[int]) -> list[Operation]:
    """The operations that the wanted tensors come from, in order."""
    found, needed = [], set(wanted)
    for operation in reversed(operations):
        if operation.outputs[0] in needed:
            found.append(operation)
            needed.update(operation.inputs)
    return found[::-1]


def _channels_last(x: Any) -> Any:
    return x.permute(0, 2, 3, 1).contiguous() if x.dim() == 4 else x


def _build(operation: Operation, file: NetworkFile) -> Step:
    builder = _BUILDERS.get(operation.kind)
    if builder is None:
        raise UnreadableNetwork(f"The network needs the operation {operation.kind} on what is not constant.")
    return builder(operation, file)


def _convolution(operation: Operation, file: NetworkFile) -> Step:
    """CONV_2D's weights are (O, h, w, I), DEPTHWISE_CONV_2D's (1, h, w, O), one input each."""
    depthwise, given = operation.kind == "DEPTHWISE_CONV_2D", operation.options
    weights = _float(file.constants[operation.inputs[1]]).permute(*((3, 0, 1, 2) if depthwise else (0, 3, 1, 2)))
    weights = weights.contiguous()
    has_bias = len(operation.inputs) > 2 and operation.inputs[2] >= 0
    bias = _float(file.constants[operation.inputs[2]]) if has_bias else None
    stride = (given["stride_h"], given["stride_w"])
    dilation = (given["dilation_h"], given["dilation_w"])
    groups = len(weights) if depthwise else 1
    kernel = (int(weights.shape[2]), int(weights.shape[3]))
    pads = _pads(file.shapes[operation.inputs[0]], kernel, stride, dilation, given["padding"])
    activation, source = _ACTIVATIONS[given["activation"]], operation.inputs[0]
    even = pads[0] == pads[1] and pads[2] == pads[3]

    def step(tensors: Tensors) -> Any:
        x = tensors[source] if even else functional.pad(tensors[source], pads)
        own = (pads[2], pads[0]) if even else 0
        return activation(functional.conv2d(x, weights, bias, stride, own, dilation, groups))

    return step


def _pads(
    shape: tuple[int, ...], kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], padding: int
) -> tuple[int, int, int, int]:
    """Left, right, top, bottom: with SAME an axis of n comes out as ceil(n / stride), an odd pixel added at its end."""
    found: list[int] = []
    for size, k, s, d in zip(shape[1:3], kernel, stride, dilation, strict=True):
        total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0) if padding == _SAME else 0
        found = [total // 2, total - total // 2, *found]
    return found[0], found[1], found[2], found[3]


def _add(operation: Operation, file: NetworkFile) -> Step:
    activation = _ACTIVATIONS[operation.options["activation"]]
    a, b = operation.inputs[:2]
    if b not in file.constants:
        return lambda tensors: activation(tensors[a] + tensors[b])
    constant = _float(file.constants[b]).reshape(1, -1, 1, 1)
    return lambda tensors: activation(tensors[a] + constant)


def _pad(operation: Operation, file: NetworkFile) -> Step:
    source = operation.inputs[0]
    _n, rows, columns, channels = (tuple(int(x) for x in row) for row in file.constants[operation.inputs[1]])
    pads = (*columns, *rows, *channels)
    return lambda tensors: functional.pad(tensors[source], pads)


def _resize(operation: Operation, file: NetworkFile) -> Step:
    """Bilinear, with any of the three conventions of where a pixel's centre lies."""
    source, given = operation.inputs[0], operation.options
    size = tuple(int(x) for x in file.constants[operation.inputs[1]])
    if given["half_pixel_centers"] or given["align_corners"]:
        aligned = bool(given["align_corners"])
        return lambda tensors: functional.interpolate(
            tensors[source], size=size, mode="bilinear", align_corners=aligned
        )
    return lambda tensors: _resize_from_corner(tensors[source], size)


def _resize_from_corner(x: Any, size: tuple[int, ...]) -> Any:
    """Pixel i of the result is taken at i * (old size / new size): the older convention."""
    for axis, count in zip((2, 3), size, strict=True):
        old = x.shape[axis]
        place = torch.arange(count) * (old / count)
        low = place.long()
        high = (low + 1).clamp(max=old - 1)
        weight = (place - low).reshape([-1 if i == axis else 1 for i in range(4)])
        x = x.index_select(axis, low) * (1 - weight) + x.index_select(axis, high) * weight
    return x


def _max_pool(operation: Operation, file: NetworkFile) -> Step:
    source, given = operation.inputs[0], operation.options
    kernel, stride = (given["height"], given["width"]), (given["stride_h"], given["stride_w"])
    pads = _pads(file.shapes[source], kernel, stride, (1, 1), given["padding"])
    activation = _ACTIVATIONS[given["activation"]]

    def step(tensors: Tensors) -> Any:
        padded = functional.pad(tensors[source], pads, value=-torch.inf) if any(pads) else tensors[source]
        return activation(functional.max_pool2d(padded, kernel, stride))

    return step


def _logistic(operation: Operation, _file: NetworkFile) -> Step:
    source = operation.inputs[0]
    return lambda tensors: torch.sigmoid(tensors[source])


def _reshape(operation: Operation, file: NetworkFile) -> Step:
    source, shape = operation.inputs[0], file.shapes[operation.outputs[0]][1:]

    def step(tensors: Tensors) -> Any:
        x = _channels_last(tensors[source]).reshape(-1, *shape)
        return x.permute(0, 3, 1, 2) if len(shape) == 3 else x

    return step


def _concatenation(operation: Operation, file: NetworkFile) -> Step:
    """axis counts as the file's tensors have them; four axes of ours stand in another order."""
    rank, axis = len(file.shapes[operation.outputs[0]]), operation.options["axis"]
    axis = (0, 2, 3, 1)[axis % 4] if rank == 4 else axis
    return lambda tensors: torch.cat([tensors[i] for i in operation.inputs], axis)


def _depth_to_space(operation: Operation, _file: NetworkFile) -> Step:
    source, block = operation.inputs[0], operation.options["block_size"]

    def step(tensors: Tensors) -> Any:
        n, channels, height, width = tensors[source].shape
        depth = channels // (block * block)
        x = tensors[source].reshape(n, block, block, depth, height, width).permute(0, 3, 4, 1, 5, 2)
        return x.reshape(n, depth, height * block, width * block)

    return step


def _float(values: AnyArray) -> Any:
    return torch.from_numpy(np.array(values, np.float32))


_BUILDERS: dict[str, Callable[[Operation, NetworkFile], Step]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "ADD": _add,
    "PAD": _pad,
    "RESIZE_BILINEAR": _resize,
    "MAX_POOL_2D": _max_pool,
    "LOGISTIC": _logistic,
    "RESHAPE": _reshape,
    "CONCATENATION": _concatenation,
    "DEPTH_TO_SPACE": _depth_to_space,
}
