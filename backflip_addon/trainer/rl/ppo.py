# SPDX-License-Identifier: GPL-3.0-or-later
"""Proximal policy optimisation (Schulman et al. 2017), the learning rate adapted to the Kullback-Leibler divergence
from the policy that acted, as in rsl_rl's algorithms/ppo.py."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import numpy as np
import torch

from ...core.arrays import AnyArray, Array, BoolArray
from ..imitation.experience import Experience
from .networks import ActorCritic

logger = logging.getLogger(__name__)

MANY_LAND = 0.4  # share of rollouts that land from which on updates get smaller; without exploration far more do
KL_TOLERANCE = 2.0  # factor on the desired divergence, either way, within which the learning rate stays (rsl_rl)
RATE_FACTOR = 1.5  # by which the learning rate is adapted (rsl_rl)
ADAM_BETA2 = 0.999  # Adam's second beta, torch's default
STATE_OF_PARAMETER = {"step", "exp_avg", "exp_avg_sq"}  # what torch's Adam remembers of each


@dataclasses.dataclass(frozen=True)
class PPOSettings:
    """PPO's numbers, as rsl_rl and CleanRL name them."""

    discount: float = 0.96  # a control step: looks 25 of them, 0.8 s, ahead
    gae_lambda: float = 0.92
    clip_range: float = 0.2
    epochs: int = 4
    minibatches: int = 4
    desired_kl: float = 0.02  # of an update, until many episodes land
    last_desired_kl: float = 0.004  # of it once all do
    learning_rate: float = 3e-4  # of the actor, to begin with
    least_learning_rate: float = 3e-6
    most_learning_rate: float = 1e-3
    critic_learning_rate: float = 1e-3
    entropy_coefficient: float = 0.0
    max_gradient_norm: float = 1.0
    adam_beta1: float = 0.98  # single gradients are mostly noise


@dataclasses.dataclass(frozen=True)
class UpdateReport:
    """What an update came to, means over its minibatches. explained_variance: how much of the returns' variance the
    critic foresaw. std: of the exploration."""

    value_loss: float
    divergence: float
    learning_rate: float
    explained_variance: float
    std: float


def advantages(
    rewards: Array,
    values: AnyArray,
    next_values: AnyArray,
    terminated: BoolArray,
    truncated: BoolArray,
    discount: float,
    gae_lambda: float,
) -> Array:
    """Generalised advantage estimates (T, N) (Schulman et al. 2016, equation 16).

    next_values (T, N): of the state each step led to, before any restart. A terminated episode's future is worth
    nothing; a truncated one's is worth what the critic says, but the sum stops there.
    """
    result = np.zeros_like(rewards)
    running: Array = np.zeros(rewards.shape[1])
    for t in range(len(rewards) - 1, -1, -1):
        td_error = rewards[t] + discount * next_values[t] * ~terminated[t] - values[t]
        running = td_error + discount * gae_lambda * running * ~(terminated[t] | truncated[t])
        result[t] = running
    return result


@dataclasses.dataclass(frozen=True)
class _Minibatch:
    """Of M control steps: normalised observations, actions (M, width), and what the old policy said of them."""

    observations: torch.Tensor
    privileged: torch.Tensor
    actions: torch.Tensor
    log_probs: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor
    old_mean: torch.Tensor
    old_std: torch.Tensor

    def part(self, index: torch.Tensor) -> _Minibatch:
        return _Minibatch(*(getattr(self, field.name)[index] for field in dataclasses.fields(self)))


class PPO:
    """Optimises an actor-critic on batches of experience."""

    def __init__(self, network: ActorCritic, settings: PPOSettings, seed: int = 0) -> None:
        self.network = network
        self.settings = settings
        critic = list(network.critic.parameters())
        actor = [*network.actor.parameters(), network.log_std]
        self.optimiser = torch.optim.Adam(
            [{"params": actor, "lr": settings.learning_rate}, {"params": critic, "lr": settings.critic_learning_rate}],
            betas=(settings.adam_beta1, ADAM_BETA2),
        )
        self.learning_rate = settings.learning_rate
        self.desired_kl = settings.desired_kl
        self.random = torch.Generator().manual_seed(seed)

    def adapt_desired_kl(self, landing: float) -> None:
        """Take smaller steps once many episodes land (a share): there is ever more to lose."""
        s = self.settings
        sure = min(max((landing - MANY_LAND) / (1 - MANY_LAND), 0.0), 1.0)
        self.desired_kl = s.desired_kl + (s.last_desired_kl - s.desired_kl) * sure

    def update(self, batch: Experience) -> UpdateReport:
        """One update on a batch of rollouts."""
        s, before = self.settings, self.learning_rate
        whole, explained = self._prepare(batch)
        losses, divergences = [], []
        for _ in range(s.epochs):
            order = torch.randperm(len(whole.advantages), generator=self.random)
            for index in order.chunk(s.minibatches):
                divergence, loss = self._descend(whole.part(index))
                divergences.append(divergence)
                losses.append(loss)
        report = UpdateReport(
            value_loss=float(np.mean(losses)),
            divergence=float(np.mean(divergences)),
            learning_rate=self.learning_rate,
            explained_variance=explained,
            std=torch.exp(self.network.log_std).mean().item(),
        )
        if self.learning_rate != before:
            logger.debug(
                "learning rate %.2g -> %.2g: divergence %.2g where %.2g is desired",
                before,
                self.learning_rate,
                report.divergence,
                self.desired_kl,
            )
        return report

    def _prepare(self, batch: Experience) -> tuple[_Minibatch, float]:
        """The whole batch with its advantages, and how much of the returns' variance the critic explains."""
        s, network = self.settings, self.network
        # Rewards are at most 1: scaled so that the value of always getting 1 is 1
        rewards = batch.rewards * (1 - s.discount)
        with torch.no_grad():
            observations = network.observed(_flat(batch.observations))
            privileged = network.privileged(_flat(batch.privileged))
            values = network.value(privileged).numpy().reshape(rewards.shape)
            bootstrap = network.privileged(_flat(batch.bootstrap_observations))
            next_values = network.value(bootstrap).numpy().reshape(rewards.shape)
            old = network.distribution(observations)
        estimates = advantages(
            rewards, values, next_values, batch.terminated, batch.truncated, s.discount, s.gae_lambda
        )
        returns = torch.as_tensor((estimates + values).reshape(-1), dtype=torch.float32)
        gains = torch.as_tensor(estimates.reshape(-1), dtype=torch.float32)
        gains = (gains - gains.mean()) / (gains.std() + 1e-8)
        log_probs = torch.as_tensor(np.ascontiguousarray(batch.log_probs).reshape(-1), dtype=torch.float32)
        whole = _Minibatch(
            observations, privileged, _flat(batch.actions), log_probs, gains, returns, old.mean, old.stddev
        )
        explained = 1 - float(np.var(returns.numpy() - values.reshape(-1)) / max(returns.var().item(), 1e-9))
        return whole, explained

    def _descend(self, part: _Minibatch) -> tuple[float, float]:
        """One gradient step. Returns the divergence from the old policy before it, and the critic's loss."""
        s = self.settings
        now = self.network.distribution(part.observations)
        with torch.no_grad():
            old = torch.distributions.Normal(part.old_mean, part.old_std, validate_args=False)
            divergence = float(torch.distributions.kl_divergence(old, now).sum(-1).mean())
        self._adapt_learning_rate(divergence)
        ratio = torch.exp(now.log_prob(part.actions).sum(-1) - part.log_probs)
        clipped = torch.clip(ratio, 1 - s.clip_range, 1 + s.clip_range)
        policy_loss = -torch.min(ratio * part.advantages, clipped * part.advantages).mean()
        value_loss = ((self.network.value(part.privileged) - part.returns) ** 2).mean()
        loss = policy_loss + value_loss - s.entropy_coefficient * now.entropy().sum(-1).mean()
        self.optimiser.zero_grad()
        loss.backward()
        for group in self.optimiser.param_groups:
            torch.nn.utils.clip_grad_norm_(group["params"], s.max_gradient_norm)
        self.optimiser.step()
        return divergence, value_loss.item()

    def _adapt_learning_rate(self, divergence: float) -> None:
        """Slow down when the policy runs from the one that acted, hurry when it hardly moves."""
        s = self.settings
        if divergence > self.desired_kl * KL_TOLERANCE:
            self.learning_rate = max(self.learning_rate / RATE_FACTOR, s.least_learning_rate)
        elif divergence < self.desired_kl / KL_TOLERANCE:
            self.learning_rate = min(self.learning_rate * RATE_FACTOR, s.most_learning_rate)
        self.optimiser.param_groups[0]["lr"] = self.learning_rate

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on from here: tensors and numbers."""
        return {
            "optimiser": self.optimiser.state_dict(),
            "rate": self.learning_rate,
            "random": self.random.get_state(),
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from a state_dict(). Raises ValueError, or what torch raises on what does not fit, then halfway."""
        # How to optimise is this version's to say, not a file's
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": saved["optimiser"]["state"], "param_groups": groups})
        for parameter, memory in self.optimiser.state.items():
            if set(memory) != STATE_OF_PARAMETER or not all(
                isinstance(value, torch.Tensor) and value.shape in ((), parameter.shape) for value in memory.values()
            ):
                raise ValueError("it is damaged: its optimiser does not fit its network")
        rate = saved["rate"]
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0.0 <= rate <= 1.0:
            raise ValueError("it is damaged: one of its numbers makes no sense")
        self.learning_rate = self.optimiser.param_groups[0]["lr"] = rate
        self.random.set_state(saved["random"])


def _flat(array: AnyArray) -> torch.Tensor:
    """(T, N, n) as a float tensor (T N, n)."""
    return torch.as_tensor(np.ascontiguousarray(array).reshape(-1, *array.shape[2:]), dtype=torch.float32)
