# SPDX-License-Identifier: GPL-3.0-or-later
"""Proximal policy optimisation (Schulman et al. 2017), with the learning rate led by the
divergence from the policy that acted, as in rsl_rl."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from ..imitation.experience import Experience
from .networks import ActorCritic

MANY = 0.4  # share of rollouts that land from which on steps get smaller; without exploration far more do


@dataclasses.dataclass(frozen=True)
class PPOSettings:
    discount: float = 0.96
    gae_lambda: float = 0.92  # GAE's lambda
    clip: float = 0.2
    epochs: int = 4
    minibatches: int = 4
    divergence: float = 0.02  # wanted KL of an update, until many episodes land
    last_divergence: float = 0.004  # of it once all do
    learning_rate: float = 3e-4  # of the actor, to begin with
    least_rate: float = 3e-6
    most_rate: float = 1e-3
    critic_rate: float = 1e-3
    entropy: float = 0.0
    gradient: float = 1.0  # greatest norm
    momentum: float = 0.98  # Adam's first beta: single gradients are mostly noise


def advantages(
    rewards: np.ndarray,
    values: np.ndarray,
    following: np.ndarray,
    terminated: np.ndarray,
    truncated: np.ndarray,
    discount: float,
    gae_lambda: float,
) -> np.ndarray:
    """Generalised advantage estimates (T, N) (Schulman et al. 2016).

    following (T, N): value of the state each step led to, before any restart. A failed episode's
    future is worth nothing; an ended one's is worth what the critic says, but the sum stops there.
    """
    result = np.zeros_like(rewards)
    running = np.zeros(rewards.shape[1])
    for t in range(len(rewards) - 1, -1, -1):
        td_error = rewards[t] + discount * following[t] * ~terminated[t] - values[t]
        running = td_error + discount * gae_lambda * running * ~(terminated[t] | truncated[t])
        result[t] = running
    return result


class PPO:
    """Optimises an actor-critic on batches of experience."""

    def __init__(self, network: ActorCritic, settings: PPOSettings, seed: int = 0) -> None:
        self.network = network
        self.settings = settings
        critic = list(network.critic.parameters())
        actor = [*network.actor.parameters(), network.log_std]
        self.optimiser = torch.optim.Adam(
            [{"params": actor, "lr": settings.learning_rate}, {"params": critic, "lr": settings.critic_rate}],
            betas=(settings.momentum, 0.999),
        )
        self.rate = settings.learning_rate
        self.divergence = settings.divergence
        self.random = torch.Generator().manual_seed(seed)

    def adapt_divergence(self, landing: float) -> None:
        """Take smaller steps once many episodes land (a share): there is ever more to lose."""
        s = self.settings
        sure = min(max((landing - MANY) / (1 - MANY), 0.0), 1.0)
        self.divergence = s.divergence + (s.last_divergence - s.divergence) * sure

    def update(self, batch: Experience) -> dict[str, float]:
        """One PPO update; returns what happened."""
        s = self.settings
        # Rewards are at most 1: scaled so that the value of always getting 1 is 1
        rewards = batch.rewards * (1 - s.discount)
        network = self.network
        with torch.no_grad():
            seen, privileged = network.observed(_flat(batch.observations)), network.privileged(_flat(batch.privileged))
            values = network.value(privileged).numpy().reshape(rewards.shape)
            following = (
                network.value(network.privileged(_flat(batch.bootstrap_observations))).numpy().reshape(rewards.shape)
            )
            old = network.distribution(seen)
        gains = advantages(rewards, values, following, batch.terminated, batch.truncated, s.discount, s.gae_lambda)
        returns = torch.as_tensor((gains + values).reshape(-1), dtype=torch.float32)
        gains = torch.as_tensor(gains.reshape(-1), dtype=torch.float32)
        gains = (gains - gains.mean()) / (gains.std() + 1e-8)
        flat = (seen, privileged, _flat(batch.actions), _flat(batch.log_probs, 0))
        losses, divergences = [], []
        for _ in range(s.epochs):
            order = torch.randperm(len(gains), generator=self.random)
            for part in order.chunk(s.minibatches):
                divergence, loss = self._descend(
                    *(x[part] for x in flat), gains[part], returns[part], old.mean[part], old.stddev[part]
                )
                divergences.append(divergence)
                losses.append(loss)
        # How much of the returns' variance the critic foresees
        explained = 1 - float(np.var(returns.numpy() - values.reshape(-1)) / max(returns.var().item(), 1e-9))
        return {
            "value_loss": float(np.mean(losses)),
            "divergence": float(np.mean(divergences)),
            "learning_rate": self.rate,
            "explained": explained,
            "std": torch.exp(self.network.log_std).mean().item(),
        }

    def _descend(
        self,
        seen: torch.Tensor,
        privileged: torch.Tensor,
        actions: torch.Tensor,
        log_probs: torch.Tensor,
        gains: torch.Tensor,
        returns: torch.Tensor,
        old_mean: torch.Tensor,
        old_std: torch.Tensor,
    ) -> tuple[float, float]:
        s = self.settings
        now = self.network.distribution(seen)
        with torch.no_grad():
            old = torch.distributions.Normal(old_mean, old_std, validate_args=False)
            divergence = float(torch.distributions.kl_divergence(old, now).sum(-1).mean())
        self._adapt_learning_rate(divergence)
        ratio = torch.exp(now.log_prob(actions).sum(-1) - log_probs)
        bounded = torch.clip(ratio, 1 - s.clip, 1 + s.clip)
        policy_loss = -torch.min(ratio * gains, bounded * gains).mean()
        value_loss = ((self.network.value(privileged) - returns) ** 2).mean()
        loss = policy_loss + value_loss - s.entropy * now.entropy().sum(-1).mean()
        self.optimiser.zero_grad()
        loss.backward()
        for group in self.optimiser.param_groups:
            torch.nn.utils.clip_grad_norm_(group["params"], s.gradient)
        self.optimiser.step()
        return divergence, value_loss.item()

    def _adapt_learning_rate(self, divergence: float) -> None:
        """Slow down when the policy runs from the one that acted, hurry when it hardly moves."""
        s = self.settings
        if divergence > 2 * self.divergence:
            self.rate = max(self.rate / 1.5, s.least_rate)
        elif divergence < self.divergence / 2:
            self.rate = min(self.rate * 1.5, s.most_rate)
        self.optimiser.param_groups[0]["lr"] = self.rate


def _flat(array: np.ndarray, kept: int = 1) -> torch.Tensor:
    """(T, N, ...) as a float tensor (T N, ...)."""
    shape = (-1, *array.shape[2:]) if kept else (-1,)
    return torch.as_tensor(np.ascontiguousarray(array).reshape(shape), dtype=torch.float32)
