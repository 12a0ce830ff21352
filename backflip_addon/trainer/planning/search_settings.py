# SPDX-License-Identifier: GPL-3.0-or-later
"""How hard a search works. Steps are control steps. tests/benchmarks/first_landing.py measures what these numbers are
worth."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Refining:
    """How a window is refined.

    Many rounds of few candidates come farther than few rounds of many: of eight backflips' starts, each for the same
    number of rollouts, windows before the take-off cost 1.07 with 32 candidates in 32 rounds, 1.3 with 64 in 16, and
    1.4 with 128 in 8; with 12 elites of 64 more than with 10.
    """

    samples: int = 32  # candidates a round
    copies: int = 1  # of the body that each is tried on: as it is, and disturbed
    elites: int = 6
    rounds: int = 32
    patience: int = 32  # stale rounds in a row after which a window is done
    smoothing: float = 0.1  # share of the old mean and deviation kept a round

    def harder(self, factor: float, most: int) -> Refining:
        """With so many times as many candidates, at most so many."""
        return dataclasses.replace(self, samples=min(int(self.samples * factor), most))


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """How hard to search."""

    horizon: int = 24  # 0.8 s: longer than a backflip's flight
    execute: int = 3  # steps performed a window
    execute_easy: int = 6  # the same of a window that is easy, and once a landing is absorbed
    # Cost up to which a window is easy, in clips that do not fly (Track.flies). Of 13 of them, two seeds each, 24
    # succeed so within 0.7 M steps, after 6.5 M in all, those that do not at 0.7; with 3 steps a window throughout 24
    # as well, after 8.7, with 6 throughout 22 after 7.4
    easy: float = 2.0
    # The same in clips that fly, and cost below which a window is done after few stale rounds. With windows easy up to
    # 2.0 two backflips took 3.3 M, with none 1.0; with windows easy up to 1.0 a spin's first searches went 141 to 202
    # mm astray, with none 137 to 156
    quiet: float = 0.25
    knot: int = 3  # steps between knots
    refining: Refining = Refining()
    # Of a window once the body has come down. Disturbed copies: what slides or sways by a hair is left
    caught: Refining = Refining(samples=64, copies=2, elites=10, rounds=8, patience=3, smoothing=0.2)
    first_rounds: int = 48  # before the first step, when nothing is known
    new_deviation: float = 0.12  # rad, of knots never sampled
    deviation: float = 0.08  # rad, of knots a former window has refined
    least_deviation: float = 0.02  # rad
    symmetric: float = 0.95  # share of the noise's variance that both sides of the body have in common
    calm: float = 0.15  # share of the noise that is left once the body stands: what it is sampled by, it fidgets with
    improvement: float = 0.01  # share by which a window's best must improve in a round, or the round is stale
    fair: float = 1.0  # cost of a window, of which it is a share where the best is less: what goes well is left sooner
    lost: float = 0.6  # m, root too far from its goal to go on with a rollout
    grip: float = 0.7  # share of the floor's friction that a plan counts on: what draws on all of it slides
    other_ends: int = 2  # tried after a touchdown whose end is not good
    near_best: float = 0.05  # a plainer plan of a window is taken where it costs no more above the best

    def harder(self, factor: float, most: int) -> SearchSettings:
        """With so many times as many candidates a round, at most so many; where that is more, only quiet windows are
        easy."""
        if factor <= 1.0:
            return self
        refining, caught = self.refining.harder(factor, most), self.caught.harder(factor, most)
        return dataclasses.replace(self, refining=refining, caught=caught, easy=self.quiet)


@dataclasses.dataclass(frozen=True)
class CopyNoise:
    """How copies differ from the body as it is: deviations of its state, and half ranges of its scene."""

    pose: float = 0.01  # rad, every joint axis
    velocity: float = 0.02  # m/s, root
    spin: float = 0.05  # rad/s, root
    mass: float = 0.02  # share
    friction: float = 0.1
    floor: float = 0.01  # m


def quick_settings() -> SearchSettings:
    """Windows that have all but settled are left: a simple clip takes half as many rollouts, a backflip's start two
    thirds, and its windows cost 1.19 where they cost 1.11. Where the rollouts' physics performs, feedback steadies such
    plans as well as others: 8 of 8. In PyBullet it takes two or three of them, and of others one."""
    return SearchSettings(refining=Refining(patience=6))


def replan_settings() -> SearchSettings:
    """For a search that starts from a plan of the same clip: small steps away from it."""
    few = Refining(rounds=4, patience=3, smoothing=0.2)
    return SearchSettings(refining=few, caught=few, first_rounds=8, new_deviation=0.08, deviation=0.06)
