# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy's network in numpy alone: what the physics workers act by.

A batch of a few dozen bodies through two small layers is too little work for torch, and a worker
without torch starts a second sooner and needs less memory.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ...core.arrays import Float32Array

CLIP = 8.0  # normalised observations are clipped here


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

    def sample(self, observations: Float32Array, random: np.random.Generator) -> tuple[Float32Array, Float32Array]:
        """Actions (N, width) with exploration, and their log probabilities (N,)."""
        mean = self(observations)
        noise = random.standard_normal(mean.shape, dtype=np.float32)
        action = mean + noise * np.exp(self.log_std)
        return action, -0.5 * np.sum(noise**2, axis=1) - np.sum(self.log_std) - 0.5 * noise.shape[1] * np.log(2 * np.pi)
