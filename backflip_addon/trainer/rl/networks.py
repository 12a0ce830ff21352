# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy: two small networks in torch, an actor and a critic that observes more (asymmetric actor-critic,
Pinto et al. 2017)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from ...core.arrays import AnyArray
from .numpy_actor import CLIP, Actor

LEAST_STD, MOST_STD = 0.02, 1.5  # of exploration, in actions: no less explores anything, no more leads anywhere
LEAST_VARIANCE = 1e-4  # added to an observation's: what never changes is not blown up


class Normaliser(nn.Module):
    """Running mean and variance of observations, kept with the network (Chan et al. 1979, updating formulae for
    the variance of two samples together)."""

    count: torch.Tensor
    mean: torch.Tensor
    variance: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(1, dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(width, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(width, dtype=torch.float64))

    def update(self, observations: AnyArray) -> None:
        """Take observations (N, n) into account."""
        x = torch.as_tensor(observations, dtype=torch.float64)
        count, mean, variance = len(x), x.mean(0), x.var(0, unbiased=False)
        total = self.count + count
        change = mean - self.mean
        together = self.variance * self.count + variance * count + change**2 * self.count * count / total
        self.mean += change * count / total
        self.variance.copy_(together / total)
        self.count.copy_(total)

    @property
    def deviation(self) -> torch.Tensor:
        """Standard deviations (n,), none of them 0."""
        return torch.sqrt(self.variance + LEAST_VARIANCE)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Observations (..., n) with mean 0 and deviation 1, clipped."""
        return torch.clip((x - self.mean.float()) / self.deviation.float(), -CLIP, CLIP)


class ActorCritic(nn.Module):
    """The actor, its critic, and the actor's weights averaged over its latest updates (Polyak and
    Juditsky 1992): each update is noisy, and what they have in common performs better.

    observed, privileged: widths of the actor's and the critic's observations, and the names of their normalisers.
    std: of exploration.
    """

    def __init__(
        self, observed: int, privileged: int, actions: int, hidden: tuple[int, ...] = (256, 128), std: float = 0.4
    ) -> None:
        super().__init__()
        self.observed = Normaliser(observed)
        self.privileged = Normaliser(privileged)
        # All zero to begin with: the first attempt is the trajectory's own performance
        self.actor = _network(observed, hidden, actions, last=0.0)
        self.average = copy.deepcopy(self.actor).requires_grad_(False)
        self.critic = _network(privileged, hidden, 1, last=0.1)
        self.log_std = nn.Parameter(torch.zeros(actions))
        self.explore(std)

    def explore(self, std: float) -> None:
        """Explore with this deviation, in actions, from now on."""
        with torch.no_grad():
            self.log_std.fill_(float(np.log(std)))

    def distribution(self, observations: torch.Tensor) -> torch.distributions.Normal:
        """Of actions, given normalised observations (..., n)."""
        return distribution(self.actor, self.log_std, observations)

    def value(self, privileged: torch.Tensor) -> torch.Tensor:
        """Values (...) of the critic's normalised observations (..., m)."""
        values: torch.Tensor = self.critic(privileged)
        return values.squeeze(-1)

    def average_weights(self, kept: float) -> None:
        """Move the average toward the actor; kept: the share of the average that stays."""
        with torch.no_grad():
            for mean, weights in zip(self.average.parameters(), self.actor.parameters(), strict=True):
                mean.lerp_(weights, 1 - kept)

    def exploring_actor(self) -> Actor:
        """A copy of the actor for the workers, to explore by."""
        return self._in_numpy(self.actor, self.observed)

    def averaged_actor(self) -> Actor:
        """A copy of the average for the workers, to perform by."""
        return self._in_numpy(self.average, self.observed)

    def valuing_critic(self) -> Actor:
        """A copy of the critic for the workers; its one action is the value."""
        return self._in_numpy(self.critic, self.privileged)

    def _in_numpy(self, network: nn.Sequential, scale: Normaliser) -> Actor:
        layers = [module for module in network if isinstance(module, nn.Linear)]
        with torch.no_grad():
            log_std = self.log_std.clamp(float(np.log(LEAST_STD)), float(np.log(MOST_STD)))
            return Actor(
                tuple((layer.weight.numpy().copy(), layer.bias.numpy().copy()) for layer in layers),
                scale.mean.float().numpy().copy(),
                scale.deviation.float().numpy().copy(),
                log_std.numpy().copy(),
            )


def distribution(
    actor: Callable[[torch.Tensor], torch.Tensor], log_std: torch.Tensor, observations: torch.Tensor
) -> torch.distributions.Normal:
    """Of actions, given normalised observations (..., n)."""
    std = torch.exp(log_std.clamp(float(np.log(LEAST_STD)), float(np.log(MOST_STD))))
    return torch.distributions.Normal(actor(observations), std, validate_args=False)


def network_of(parameters: Sequence[nn.Parameter]) -> Callable[[torch.Tensor], torch.Tensor]:
    """The network whose weights and biases these are, layer by layer."""

    def forward(x: torch.Tensor) -> torch.Tensor:
        for layer in range(0, len(parameters), 2):
            x = nn.functional.linear(nn.functional.elu(x) if layer else x, parameters[layer], parameters[layer + 1])
        return x

    return forward


def _network(inputs: int, hidden: tuple[int, ...], outputs: int, last: float) -> nn.Sequential:
    """Linear layers with ELU between; the last one's weights scaled by last."""
    modules: list[nn.Module] = []
    for width in hidden:
        layer = nn.Linear(inputs, width)
        nn.init.orthogonal_(layer.weight, 2**0.5)
        nn.init.zeros_(layer.bias)
        modules += [layer, nn.ELU()]
        inputs = width
    output = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(output.weight)
    output.weight.data *= last
    nn.init.zeros_(output.bias)
    return nn.Sequential(*modules, output)
