# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks: read from TensorFlow Lite's own bytes, run to the same numbers, hostile files refused."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from backflip_addon.trainer.video.network import Network  # noqa: E402
from backflip_addon.trainer.video.tflite_file import UnreadableNetwork, read_network  # noqa: E402
from tests.trainer.video import tflite_bytes  # noqa: E402
from tests.trainer.video.tflite_bytes import table  # noqa: E402

CONV, DEPTHWISE, DEQUANTIZE, MAX_POOL, ADD = 3, 4, 6, 17, 0
RELU = 1


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """Convolution 3x3, stride 2, of half floats, with ReLU; depthwise 3x3; the greatest of 2x2; a constant added."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=(4, 3, 3, 2)).astype(np.float16)
    b = rng.normal(size=4).astype(np.float32)
    d = rng.normal(size=(1, 3, 3, 4)).astype(np.float32)
    c = rng.normal(size=4).astype(np.float32)
    shapes = {"in": (1, 7, 6, 2), "w16": w.shape, "w": w.shape, "b": (4,), "x": (1, 4, 3, 4), "d": d.shape}
    shapes |= {"y": (1, 4, 3, 4), "p": (1, 2, 2, 4), "c": (4,), "out": (1, 2, 2, 4)}
    data = {"w16": w, "b": b, "d": d, "c": c}
    tensors = [{"name": n, "shape": s, **({"data": data[n]} if n in data else {})} for n, s in shapes.items()]
    at = list(shapes).index
    operators = [
        {"code": DEQUANTIZE, "inputs": [at("w16")], "outputs": [at("w")]},
        {"code": CONV, "inputs": [0, at("w"), at("b")], "outputs": [at("x")], "options": table(f1=2, f2=2, f3=RELU)},
        {"code": DEPTHWISE, "inputs": [at("x"), at("d"), -1], "outputs": [at("y")], "options": table(f1=1, f2=1)},
        {"code": MAX_POOL, "inputs": [at("y")], "outputs": [at("p")], "options": table(f1=2, f2=2, f3=2, f4=2)},
        {"code": ADD, "inputs": [at("p"), at("c")], "outputs": [at("out")], "options": table(f0=0)},
    ]
    path = tmp_path / "small.tflite"
    path.write_bytes(tflite_bytes.network(tensors, operators, [0], [at("out")]))
    return path, data


def padded(x: np.ndarray, out: tuple[int, int], kernel: int, stride: int, value: float = 0.0) -> np.ndarray:
    """x (H, W, C) as SAME pads it."""
    pads = []
    for size, n in zip(x.shape[:2], out, strict=True):
        total = max((n - 1) * stride + kernel - size, 0)
        pads.append((total // 2, total - total // 2))
    return np.pad(x, [*pads, (0, 0)], constant_values=value)


def by_hand(x: np.ndarray, data: dict[str, np.ndarray]) -> np.ndarray:
    """The small network in plain loops, from the operations' definitions."""
    w = data["w16"].astype(np.float32)
    p = padded(x, (4, 3), 3, 2)
    a = np.zeros((4, 3, 4))
    for i, j, o in np.ndindex(a.shape):
        a[i, j, o] = max((p[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] * w[o]).sum() + data["b"][o], 0.0)
    p = padded(a, (4, 3), 3, 1)
    d = np.zeros((4, 3, 4))
    for i, j, o in np.ndindex(d.shape):
        d[i, j, o] = (p[i : i + 3, j : j + 3, o] * data["d"][0, :, :, o]).sum()
    p = padded(d, (2, 2), 2, 2, -np.inf)
    return p.reshape(2, 2, 2, 2, 4).max(axis=(1, 3)) + data["c"]


def test_a_network_gives_what_its_operations_say(small: tuple[Path, dict[str, np.ndarray]]) -> None:
    path, data = small
    pictures = np.random.default_rng(1).normal(size=(3, 7, 6, 2)).astype(np.float32)
    found = Network.load(path)(torch.from_numpy(pictures))["out"]
    np.testing.assert_allclose(found, [by_hand(one, data) for one in pictures], atol=2e-5)


def test_sparse_weights_come_out_dense(tmp_path: Path) -> None:
    """Rows dense, columns listed: compressed sparse rows."""
    dense = np.array([[0, 5, 0], [0, 0, 0], [7, 0, 9]], np.float32)
    tensors = [
        {"name": "in", "shape": (1, 3, 1, 1)},
        {
            "name": "w",
            "shape": (3, 3),
            "data": np.array([5, 7, 9], np.float32),
            "sparsity": tflite_bytes.sparsity([0, 1], [3, ([0, 1, 1, 3], [1, 0, 2])]),
        },
    ]
    path = tmp_path / "sparse.tflite"
    path.write_bytes(tflite_bytes.network(tensors, [], [0], [0]))
    np.testing.assert_array_equal(read_network(path).constants[1], dense)


def test_damaged_networks_are_refused_with_a_sentence(small: tuple[Path, dict[str, np.ndarray]]) -> None:
    """Whatever bytes are changed or cut off: either it still reads and runs, or one error of ours says no."""
    path, _data = small
    whole, rng = path.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(300):
        bad = bytearray(whole[: rng.randrange(len(whole))] if rng.random() < 0.3 else whole)
        for _ in range(rng.randrange(1, 6)):
            if bad:
                bad[rng.randrange(len(bad))] = rng.randrange(256)
        path.write_bytes(bytes(bad))
        try:
            Network.load(path)
        except UnreadableNetwork as error:
            assert str(error).endswith(".")
            refused += 1
    assert refused > 100
