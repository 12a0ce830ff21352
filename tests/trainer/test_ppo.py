# SPDX-License-Identifier: GPL-3.0-or-later
"""PPO against sums written out by hand, and on a problem whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from backflip_addon.trainer.imitation.experience import Experience  # noqa: E402
from backflip_addon.trainer.rl.network_updates import PPOSettings  # noqa: E402
from backflip_addon.trainer.rl.networks import ActorCritic, Normaliser  # noqa: E402
from backflip_addon.trainer.rl.numpy_actor import Exploration  # noqa: E402
from backflip_addon.trainer.rl.ppo import PPO, advantages  # noqa: E402


def gae_by_hand(
    rewards: np.ndarray,
    values: np.ndarray,
    following: np.ndarray,
    terminated: np.ndarray,
    truncated: np.ndarray,
    discount: float,
    gae_lambda: float,
) -> np.ndarray:
    """The definition: discounted sum of every later td_error of the same episode."""
    result = np.zeros_like(rewards)
    for n in range(rewards.shape[1]):
        for t in range(len(rewards)):
            for k in range(t, len(rewards)):
                future = 0.0 if terminated[k, n] else following[k, n]
                result[t, n] += (discount * gae_lambda) ** (k - t) * (rewards[k, n] + discount * future - values[k, n])
                if terminated[k, n] or truncated[k, n]:
                    break
    return result


def test_advantages_are_the_definition() -> None:
    random = np.random.default_rng(0)
    rewards, values, following = random.normal(size=(3, 20, 5))
    terminated = random.random((20, 5)) < 0.1
    truncated = (random.random((20, 5)) < 0.1) & ~terminated
    got = advantages(rewards, values, following, terminated, truncated, 0.9, 0.8)
    np.testing.assert_allclose(
        got, gae_by_hand(rewards, values, following, terminated, truncated, 0.9, 0.8), atol=1e-12
    )


def test_time_running_out_is_no_failure() -> None:
    one = np.ones((1, 1))
    yes, no = np.ones((1, 1), bool), np.zeros((1, 1), bool)
    truncated = advantages(one, one, 5 * one, no, yes, 0.9, 0.95)
    terminated = advantages(one, one, 5 * one, yes, no, 0.9, 0.95)
    assert truncated[0, 0] == pytest.approx(1 + 0.9 * 5 - 1)
    assert terminated[0, 0] == pytest.approx(0)


def test_normaliser_is_mean_and_variance_of_all_it_saw() -> None:
    random = np.random.default_rng(1)
    parts = [random.normal(3, 2, size=(count, 4)) for count in (7, 100, 31)]
    normaliser = Normaliser(4)
    for part in parts:
        normaliser.update(part)
    together = np.concatenate(parts)
    np.testing.assert_allclose(normaliser.mean.numpy(), together.mean(0), rtol=1e-9)
    np.testing.assert_allclose(normaliser.variance.numpy(), together.var(0), rtol=1e-9)


def test_numpy_actor_is_the_torch_actor() -> None:
    torch.manual_seed(0)
    random = np.random.default_rng(2)
    network = ActorCritic(6, 8, 3, (16, 8))
    network.observed.update(random.normal(1, 3, size=(50, 6)))
    torch.nn.init.normal_(network.actor[-1].weight)
    observations = random.normal(size=(10, 6)).astype(np.float32)
    actor = network.exploring_actor()
    with torch.no_grad():
        distribution = network.distribution(network.observed(torch.as_tensor(observations)))
    np.testing.assert_allclose(actor(observations), distribution.mean.numpy(), atol=1e-5)
    actions, log_probs = actor.sample(observations, Exploration(np.random.default_rng(3)))
    expected = distribution.log_prob(torch.as_tensor(actions)).sum(-1).numpy()
    np.testing.assert_allclose(log_probs, expected, atol=1e-4)


def test_exploration_lasts_from_a_step_to_the_next_and_is_as_strong_at_each() -> None:
    for correlation in (0.0, 0.6):
        exploration = Exploration(np.random.default_rng(0), correlation)
        noise = np.stack([exploration.noise((2000, 3)) for _ in range(30)])[15:]
        assert noise.std() == pytest.approx(1.0, abs=0.02)
        for later in (1, 2):
            together = (noise[later:] * noise[:-later]).mean()
            assert together == pytest.approx(correlation**later, abs=0.02)


def test_what_performs_is_the_average_of_what_explored() -> None:
    torch.manual_seed(0)
    network = ActorCritic(2, 2, 1, (4,))
    observations = np.ones((1, 2), dtype=np.float32)
    assert network.averaged_actor()(observations) == network.exploring_actor()(observations) == 0
    torch.nn.init.constant_(network.actor[-1].bias, 1.0)
    assert network.exploring_actor()(observations) == 1.0 and network.averaged_actor()(observations) == 0
    network.average_weights(0.75)
    assert network.averaged_actor()(observations) == pytest.approx(0.25)
    network.average_weights(0.75)
    assert network.averaged_actor()(observations) == pytest.approx(0.4375)
    assert network.exploring_actor()(observations) == 1.0


def test_steps_shrink_as_landings_grow() -> None:
    ppo = PPO(ActorCritic(1, 1, 1, (4,)), PPOSettings(desired_kl=0.012, last_desired_kl=0.006))
    wanted = []
    for landing in (0.0, 0.4, 0.7, 1.0):
        ppo.adapt_desired_kl(landing)
        wanted.append(ppo.desired_kl)
    np.testing.assert_allclose(wanted, [0.012, 0.012, 0.009, 0.006])


def test_learns_to_name_the_number_it_sees() -> None:
    """One-step episodes, reward 1 - (action - observation)^2 / 4: the best action is the observation."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    network = ActorCritic(1, 1, 1, (32,), std=0.5)
    ppo = PPO(network, PPOSettings(desired_kl=0.05, learning_rate=1e-3))

    def rollouts() -> Experience:
        seen = random.uniform(-1, 1, size=(64, 8, 1)).astype(np.float32)
        flat, log_probs = network.exploring_actor().sample(seen.reshape(-1, 1), Exploration(random))
        actions = flat.reshape(seen.shape)
        rewards = 1 - (actions - seen)[..., 0] ** 2 / 4
        yes, no = np.ones((64, 8), bool), np.zeros((64, 8), bool)
        log_probs = log_probs.reshape(64, 8)
        return Experience(seen, seen, actions, log_probs, rewards, yes, no, seen, no.astype(int), actions)

    for _ in range(60):
        ppo.update(rollouts())
    tests = np.linspace(-0.9, 0.9, 7, dtype=np.float32)[:, None]
    assert np.abs(network.exploring_actor()(tests) - tests).max() < 0.2


def test_an_update_alone_is_the_plain_loop_to_the_bit() -> None:
    """Gradients and steps one after the other, as any textbook has it."""
    s, random = PPOSettings(), np.random.default_rng(4)
    networks = []
    for _ in range(2):
        torch.manual_seed(0)
        networks.append(ActorCritic(3, 4, 2, (16, 8)))
    one, other = networks
    seen, known = (random.normal(size=(12, 7, n)).astype(np.float32) for n in (3, 4))
    flat, log_probs = one.exploring_actor().sample(seen.reshape(-1, 3), Exploration(random))
    actions, log_probs, ends = flat.reshape(12, 7, 2), log_probs.reshape(12, 7), random.random((12, 7)) < 0.1
    rewards = random.random((12, 7))
    PPO(one, s, seed=5).update(
        Experience(seen, known, actions, log_probs, rewards, ends, ~ends & ends, known, ends.astype(int), actions)
    )
    rate, critic = s.learning_rate, list(other.critic.parameters())
    actor = [*other.actor.parameters(), other.log_std]
    adam = torch.optim.Adam(actor, rate, betas=(s.adam_beta1, 0.999))
    critic_adam = torch.optim.Adam(critic, s.critic_learning_rate, betas=(s.critic_adam_beta1, 0.999))
    with torch.no_grad():
        x, y = (
            scale(torch.as_tensor(a).reshape(84, -1))
            for scale, a in ((other.observed, seen), (other.privileged, known))
        )
        values = other.value(y).numpy().reshape(12, 7)
        old = other.distribution(x)
    gains = advantages(rewards * (1 - s.discount), values, values, ends, ~ends & ends, s.discount, s.gae_lambda)
    returns, gain = (torch.as_tensor(a.reshape(-1)).float() for a in (gains + values, gains))
    gain = (gain - gain.mean()) / (gain.std() + 1e-8)
    generator = torch.Generator().manual_seed(5)
    for _ in range(s.epochs):
        order = torch.randperm(84, generator=generator)
        for i in order.chunk(s.critic_minibatches):
            critic_adam.zero_grad()
            ((other.value(y[i]) - returns[i]) ** 2).mean().backward()
            torch.nn.utils.clip_grad_norm_(critic, s.max_gradient_norm)
            critic_adam.step()
        for i in order.chunk(s.minibatches):
            now = other.distribution(x[i])
            with torch.no_grad():
                then = torch.distributions.Normal(old.mean[i], old.stddev[i])
                divergence = float(torch.distributions.kl_divergence(then, now).sum(-1).mean())
            if divergence > 2 * s.desired_kl:
                rate = max(rate / 1.5, s.least_learning_rate)
            elif divergence < s.desired_kl / 2:
                rate = min(rate * 1.5, s.most_learning_rate)
            adam.param_groups[0]["lr"] = rate
            ratio = torch.exp(
                now.log_prob(torch.as_tensor(flat)[i]).sum(-1) - torch.as_tensor(log_probs.reshape(-1))[i]
            )
            worth = torch.min(ratio * gain[i], torch.clip(ratio, 1 - s.clip_range, 1 + s.clip_range) * gain[i])
            adam.zero_grad()
            (-worth.mean() - 0.0 * now.entropy().sum(-1).mean()).backward()
            torch.nn.utils.clip_grad_norm_(actor, s.max_gradient_norm)
            adam.step()
    assert all(a.equal(b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
