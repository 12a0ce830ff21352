# SPDX-License-Identifier: GPL-3.0-or-later
"""Proximal policy optimisation (Schulman et al. 2017), the learning rate adapted to the Kullback-Leibler divergence
from the policy that acted, as in rsl_rl's algorithms/ppo.py."""

from __future__ import annotations

import dataclasses
import functools
import logging
from typing import Any

import numpy as np
import torch

from ...core.arrays import AnyArray, Array, BoolArray
from ..imitation.experience import Experience
from ..workers import Workers
from .network_updates import ADAM_BETA2, ActorUpdate, CriticUpdate, NetworkState, PPOSettings
from .networks import ActorCritic

logger = logging.getLogger(__name__)

MANY_LAND = 0.4  # share of rollouts that land from which on updates get smaller; without exploration far more do
STATE_OF_PARAMETER = {"step", "exp_avg", "exp_avg_sq"}  # what torch's Adam remembers of each


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


def is_shared_with(workers: Workers) -> bool:
    """Whether an update is faster done by two of the workers: the trainer has one core, and they have others. With a
    second one its own threads are as fast, and nothing has to travel."""
    return workers.elsewhere and len(workers) > 1 and torch.get_num_threads() == 1


class PPO:
    """Optimises an actor-critic on batches of experience."""

    def __init__(self, network: ActorCritic, settings: PPOSettings, seed: int = 0) -> None:
        self.network = network
        self.settings = settings
        self.learning_rate = settings.learning_rate
        self.desired_kl = settings.desired_kl
        self.random = torch.Generator().manual_seed(seed)

    @functools.cached_property
    def optimiser(self) -> torch.optim.Adam:
        """Made when it is first needed: torch takes a second or two to make one, and feedback is fitted without."""
        s, critic = self.settings, list(self.network.critic.parameters())
        actor = [*self.network.actor.parameters(), self.network.log_std]
        groups = [{"params": actor, "lr": s.learning_rate}, {"params": critic, "lr": s.critic_learning_rate}]
        return torch.optim.Adam(groups, betas=(s.adam_beta1, ADAM_BETA2))

    def adapt_desired_kl(self, landing: float) -> None:
        """Take smaller steps once many episodes land (a share): there is ever more to lose."""
        s = self.settings
        sure = min(max((landing - MANY_LAND) / (1 - MANY_LAND), 0.0), 1.0)
        self.desired_kl = s.desired_kl + (s.last_desired_kl - s.desired_kl) * sure

    def update(self, batch: Experience, workers: Workers | None = None) -> UpdateReport:
        """One update on a batch of rollouts. workers: that may do it (PolicyWorker.learn), where that is faster.

        Raises what they raise; then it is as if it had not been begun.
        """
        before, random = self.learning_rate, torch.Generator()
        random.set_state(self.random.get_state())
        actor, critic, explained = self._prepare(batch, random)
        if workers is not None and is_shared_with(workers):
            learned = workers.share("learn", [(actor,), (critic,)])
        else:
            learned = [actor.learn(), critic.learn()]
        self.random.set_state(random.get_state())
        for group, each in zip(self.optimiser.param_groups, learned, strict=True):
            each.state.load_into(group["params"], self.optimiser)
            group["lr"] = each.rate
        self.learning_rate = learned[0].rate
        report = UpdateReport(
            value_loss=float(np.mean(learned[1].losses)),
            divergence=float(np.mean(learned[0].losses)),
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

    def _prepare(self, batch: Experience, random: torch.Generator) -> tuple[ActorUpdate, CriticUpdate, float]:
        """What there is to learn from a batch, and how much of the returns' variance the critic explains."""
        s, network = self.settings, self.network
        # Rewards are at most 1: scaled so that the value of always getting 1 is 1
        rewards = batch.rewards * (1 - s.discount)
        with torch.no_grad():
            observations = network.observed(_flat(batch.observations))
            privileged = network.privileged(_flat(batch.privileged))
            values, next_values = batch.values, batch.next_values
            if values is None or next_values is None:
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
        log_probs = np.ascontiguousarray(batch.log_probs).reshape(-1).astype(np.float32)
        orders = np.stack([torch.randperm(len(gains), generator=random).numpy() for _ in range(s.epochs)])
        states = [NetworkState.of(group["params"], self.optimiser) for group in self.optimiser.param_groups]
        actor = ActorUpdate(
            s, states[0], self.learning_rate, orders, observations.numpy(), _flat(batch.actions).numpy(),
            old.mean.numpy(), old.stddev[0].numpy(), log_probs, gains.numpy(), self.desired_kl,
        )  # fmt: skip
        critic = CriticUpdate(s, states[1], s.critic_learning_rate, orders, privileged.numpy(), returns.numpy())
        explained = 1 - float(np.var(returns.numpy() - values.reshape(-1)) / max(returns.var().item(), 1e-9))
        return actor, critic, explained

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on from here: tensors and numbers."""
        used = "optimiser" in vars(self)
        return {
            "optimiser": {"state": self.optimiser.state_dict()["state"] if used else {}},
            "rate": self.learning_rate,
            "random": self.random.get_state(),
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from a state_dict(). Raises ValueError, or what torch raises on what does not fit, then halfway."""
        if state := saved["optimiser"]["state"]:
            # How to optimise is this version's to say, not a file's
            groups = self.optimiser.state_dict()["param_groups"]
            self.optimiser.load_state_dict({"state": state, "param_groups": groups})
            for parameter, memory in self.optimiser.state.items():
                if set(memory) != STATE_OF_PARAMETER or not all(
                    isinstance(value, torch.Tensor) and value.shape in ((), parameter.shape)
                    for value in memory.values()
                ):
                    raise ValueError("it is damaged: its optimiser does not fit its network")
        else:
            vars(self).pop("optimiser", None)  # one that has learned nothing yet
        rate = saved["rate"]
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0.0 <= rate <= 1.0:
            raise ValueError("it is damaged: one of its numbers makes no sense")
        self.learning_rate = rate
        if state:
            self.optimiser.param_groups[0]["lr"] = rate
        self.random.set_state(saved["random"])


def _flat(array: AnyArray) -> torch.Tensor:
    """(T, N, n) as a float tensor (T N, n)."""
    return torch.as_tensor(np.ascontiguousarray(array).reshape(-1, *array.shape[2:]), dtype=torch.float32)
