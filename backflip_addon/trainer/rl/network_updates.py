# SPDX-License-Identifier: GPL-3.0-or-later
"""The two halves of an update: what the actor learns and what the critic does, each from the same samples.

Neither needs anything of the other while it learns. So one core may teach the one and another the other, on another
machine too, and it comes to the same to the bit.
"""

from __future__ import annotations

import abc
import dataclasses

import torch
from torch import nn

from ...core.arrays import AnyArray, Float32Array, IntArray
from .networks import distribution, network_of

KL_TOLERANCE = 2.0  # factor on the desired divergence, either way, within which the learning rate stays (rsl_rl)
RATE_FACTOR = 1.5  # by which the learning rate is adapted (rsl_rl)
ADAM_BETA2 = 0.999  # Adam's second beta, torch's default


@dataclasses.dataclass(frozen=True)
class PPOSettings:
    """PPO's numbers, as rsl_rl and CleanRL name them."""

    discount: float = 0.96  # a control step: looks 25 of them, 0.8 s, ahead
    gae_lambda: float = 0.8
    clip_range: float = 0.2
    epochs: int = 4
    minibatches: int = 4
    # What the critic has not learned misleads the actor: after as many updates with 4 of them 43 % of trials land, with
    # 16 58 %
    critic_minibatches: int = 16
    desired_kl: float = 0.05  # of an update, until many episodes land
    last_desired_kl: float = 0.01  # of it once all do
    learning_rate: float = 3e-4  # of the actor, to begin with
    least_learning_rate: float = 3e-6
    most_learning_rate: float = 1e-3
    critic_learning_rate: float = 1e-3
    entropy_coefficient: float = 0.0
    max_gradient_norm: float = 1.0
    adam_beta1: float = 0.98  # of the actor: single gradients are mostly noise
    critic_adam_beta1: float = 0.9


@dataclasses.dataclass(frozen=True)
class NetworkState:
    """Parameters, and what Adam remembers of each (nothing before its first step). In numpy, for they travel."""

    parameters: tuple[Float32Array, ...]
    memories: tuple[dict[str, AnyArray], ...]

    @classmethod
    def of(cls, parameters: list[nn.Parameter], optimiser: torch.optim.Optimizer) -> NetworkState:
        """A copy of them."""
        memories = [optimiser.state.get(parameter, {}) for parameter in parameters]
        return cls(
            tuple(parameter.detach().numpy().copy() for parameter in parameters),
            tuple({key: value.numpy().copy() for key, value in memory.items()} for memory in memories),
        )

    def load_into(self, parameters: list[nn.Parameter], optimiser: torch.optim.Optimizer) -> None:
        """Have these parameters be as it has them, and an optimiser remember what it remembers."""
        with torch.no_grad():
            for parameter, numbers, memory in zip(parameters, self.parameters, self.memories, strict=True):
                parameter.copy_(torch.tensor(numbers))
                if memory:
                    optimiser.state[parameter] = {key: torch.tensor(value) for key, value in memory.items()}


@dataclasses.dataclass(frozen=True)
class Learned:
    """What half an update came to. losses: of each minibatch, before its step; for the actor divergences from the
    policy that acted. rate: the learning rate in the end."""

    state: NetworkState
    losses: list[float]
    rate: float


@dataclasses.dataclass(frozen=True)
class NetworkUpdate(abc.ABC):
    """M samples to learn from, normalised. orders (epochs, M): which of them come together. rate: the learning rate."""

    settings: PPOSettings
    state: NetworkState
    rate: float
    orders: IntArray
    observations: Float32Array

    def learn(self) -> Learned:
        """Descend the gradients of all minibatches, one after the other."""
        s, losses, rate = self.settings, [], self.rate
        parameters = [nn.Parameter(torch.tensor(numbers)) for numbers in self.state.parameters]
        adam = torch.optim.Adam(parameters, lr=rate, betas=(self.beta1, ADAM_BETA2))
        self.state.load_into(parameters, adam)
        for order in torch.tensor(self.orders):
            for index in order.chunk(self.minibatches):
                loss, told = self._loss(parameters, index)
                losses.append(told)
                rate = adam.param_groups[0]["lr"] = self._next_rate(rate, told)
                adam.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(parameters, s.max_gradient_norm)
                adam.step()
        return Learned(NetworkState.of(parameters, adam), losses, rate)

    @property
    def minibatches(self) -> int:
        """Into how many an epoch is cut."""
        return self.settings.minibatches

    @property
    def beta1(self) -> float:
        """Adam's."""
        return self.settings.adam_beta1

    @abc.abstractmethod
    def _loss(self, parameters: list[nn.Parameter], index: torch.Tensor) -> tuple[torch.Tensor, float]:
        """What is descended for the samples of an index, and what is told of it (Learned.losses)."""

    def _next_rate(self, rate: float, told: float) -> float:
        """The learning rate of a minibatch, given the one before."""
        return rate


@dataclasses.dataclass(frozen=True)
class ActorUpdate(NetworkUpdate):
    """actions, old_mean (M, width), old_std (width,), log_probs (M,): what the policy did and was. gains (M,):
    normalised advantages. desired_kl: of an update."""

    actions: Float32Array
    old_mean: Float32Array
    old_std: Float32Array
    log_probs: Float32Array
    gains: Float32Array
    desired_kl: float

    def _loss(self, parameters: list[nn.Parameter], index: torch.Tensor) -> tuple[torch.Tensor, float]:
        s = self.settings
        observations, actions, old_mean, log_probs, gains = (
            torch.from_numpy(column)[index]
            for column in (self.observations, self.actions, self.old_mean, self.log_probs, self.gains)
        )
        now = distribution(network_of(parameters[:-1]), parameters[-1], observations)
        with torch.no_grad():
            old = torch.distributions.Normal(old_mean, torch.from_numpy(self.old_std), validate_args=False)
            divergence = float(torch.distributions.kl_divergence(old, now).sum(-1).mean())
        ratio = torch.exp(now.log_prob(actions).sum(-1) - log_probs)
        clipped = torch.clip(ratio, 1 - s.clip_range, 1 + s.clip_range)
        loss = -torch.min(ratio * gains, clipped * gains).mean()
        if s.entropy_coefficient:
            loss = loss - s.entropy_coefficient * now.entropy().sum(-1).mean()
        return loss, divergence

    def _next_rate(self, rate: float, told: float) -> float:
        """Slow down when the policy runs from the one that acted, hurry when it hardly moves."""
        s = self.settings
        if told > self.desired_kl * KL_TOLERANCE:
            return max(rate / RATE_FACTOR, s.least_learning_rate)
        if told < self.desired_kl / KL_TOLERANCE:
            return min(rate * RATE_FACTOR, s.most_learning_rate)
        return rate


@dataclasses.dataclass(frozen=True)
class CriticUpdate(NetworkUpdate):
    """returns (M,): what its values are to be."""

    returns: Float32Array

    @property
    def minibatches(self) -> int:
        """More than the actor's."""
        return self.settings.critic_minibatches

    @property
    def beta1(self) -> float:
        """What it has to learn moves with the policy: it remembers less."""
        return self.settings.critic_adam_beta1

    def _loss(self, parameters: list[nn.Parameter], index: torch.Tensor) -> tuple[torch.Tensor, float]:
        observations, returns = (torch.from_numpy(column)[index] for column in (self.observations, self.returns))
        loss = ((network_of(parameters)(observations).squeeze(-1) - returns) ** 2).mean()
        return loss, loss.item()
