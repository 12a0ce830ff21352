# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy's network in numpy alone: what the physics workers act by.

A batch of a few dozen bodies through two small layers is too little work for torch, and a worker
without torch starts a second sooner and needs less memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from ...core.arrays import Float32Array

CLIP = 8.0  # normalised observations are clipped here


class Exploration:
    """Noise of deviation 1 that actions explore by. correlation: from one control step to the next; 0: none.

    A push that is taken back a step later leads nowhere, and little is learned from it: policies learn sooner with
    noise between white and Brownian, though it is learned from as if each step's were drawn alone (Hollenstein et al.
    2024, "Colored noise in PPO").
    """

    def __init__(self, random: np.random.Generator, correlation: float = 0.0) -> None:
        self.correlation = correlation
        self._random = random
        self._last: Float32Array = np.zeros(1, dtype=np.float32)

    def noise(self, shape: tuple[int, ...]) -> Float32Array:
        """That of the next control step."""
        kept = np.float32(self.correlation)
        fresh = self._random.standard_normal(shape, dtype=np.float32)
        self._last = kept * self._last + np.sqrt(1 - kept**2) * fresh
        return self._last


@dataclasses.dataclass(frozen=True)
class Actor:
    """Layers of (weights (out, in), bias (out,)), ELU between; float32.

    mean, deviation (n,): of the observations. log_std (width,): of the exploration.
    """

    layers: tuple[tuple[Float32Array, Float32Array], ...]
    mean: Float32Array
    deviation: Float32Array
    log_std: Float32Array

    def __call__(self, observations: Float32Array) -> Float32Array:
        """Mean actions (N, width) of observations (N, n)."""
        x = (observations - self.mean) * np.reciprocal(self.deviation)
        np.clip(x, -CLIP, CLIP, out=x)
        for weights, bias in self.layers[:-1]:
            x = x @ weights.T
            x += bias
            below = np.minimum(x, 0)
            np.exp(below, out=below)  # expm1 is several times as slow
            below -= 1
            np.maximum(x, 0, out=x)
            x += below
        weights, bias = self.layers[-1]
        mean: Float32Array = x @ weights.T + bias
        return mean

    def sample(self, observations: Float32Array, exploration: Exploration) -> tuple[Float32Array, Float32Array]:
        """Actions (N, width) with exploration, and their log probabilities (N,), each step's by itself."""
        mean = self(observations)
        noise = exploration.noise(mean.shape)
        action = mean + noise * np.exp(self.log_std)
        return action, -0.5 * np.sum(noise**2, axis=1) - np.sum(self.log_std) - 0.5 * noise.shape[1] * np.log(2 * np.pi)

    def exploring(self, exploration: Exploration) -> Callable[[Float32Array], Float32Array]:
        """Actions (N, width) of observations (N, n), with exploration."""
        return lambda observations: self.sample(observations, exploration)[0]
