# SPDX-License-Identifier: GPL-3.0-or-later
"""How hard a search works. Steps are control steps."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Refining:
    """How a window is refined. Many rounds of few candidates come farther than few rounds of many."""

    samples: int = 32  # candidates a round
    copies: int = 1  # of the body that each is tried on: as it is, and disturbed
    rounds: int = 20
    patience: int = 20  # stale rounds in a row after which a window is done

    def harder(self, factor: float, most: int) -> Refining:
        """With so many times as many candidates, at most so many."""
        return dataclasses.replace(self, samples=min(int(self.samples * factor), most))


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """How hard to search."""

    horizon: int = 24  # 0.8 s: longer than a backflip's flight
    execute: int = 3  # steps performed a window
    execute_easy: int = 6  # the same of a window that is easy, and once a landing is absorbed
    # Cost up to which a window is easy far from leaps (Track.leaps): more is performed at once after these
    easy: float = 2.0
    # The same near leaps, and cost below which a window is done after few stale rounds
    quiet: float = 0.25
    knot: int = 3  # steps between knots
    refining: Refining = Refining()
    # The same far from leaps
    grounded: Refining = Refining(rounds=12, patience=6)
    # Of a window once the body has come down. Disturbed copies: what slides or sways by a hair is left
    caught: Refining = Refining(copies=2, rounds=16, patience=6)
    plain: float = 0.75  # cost up to which a window needs no more rounds than a grounded one
    first_rounds: int = 32  # before the first step, when nothing is known
    new_deviation: float = 0.12  # rad, of knots never sampled
    deviation: float = 0.08  # rad, of knots a former window has refined
    least_deviation: float = 0.01  # rad
    symmetric: float = 0.95  # share of the noise's variance that both sides of the body have in common
    calm: float = 0.15  # share of the noise that is left once the body stands: what it is sampled by, it fidgets with
    improvement: float = 0.01  # share by which a window's best must improve in a round, or the round is stale
    fair: float = 1.0  # cost of a window, of which that is a share where the best is less
    lost: float = 0.6  # m, root too far from its goal to go on with a rollout
    grip: float = 0.7  # share of the floor's friction that a plan counts on: what draws on all of it slides
    other_ends: int = 2  # tried after a touchdown whose end is not good
    near_best: float = 0.05  # a plainer plan of a window is taken where it costs no more above the best

    def harder(self, factor: float, most: int) -> SearchSettings:
        """With so many times as many candidates a round, at most so many; where that is more, only quiet windows are
        easy."""
        if factor <= 1.0:
            return self
        refining, grounded, caught = (how.harder(factor, most) for how in (self.refining, self.grounded, self.caught))
        return dataclasses.replace(self, refining=refining, grounded=grounded, caught=caught, easy=self.quiet)


@dataclasses.dataclass(frozen=True)
class CopyNoise:
    """How copies differ from the body as it is: deviations of its state, and half ranges of its scene."""

    pose: float = 0.01  # rad, every joint axis
    velocity: float = 0.02  # m/s, root
    spin: float = 0.05  # rad/s, root
    mass: float = 0.02  # share
    friction: float = 0.1
    floor: float = 0.01  # m


def replan_settings() -> SearchSettings:
    """For a search that starts from a plan of the same clip: small steps away from it."""
    few = Refining(rounds=4, patience=3)
    return SearchSettings(refining=few, grounded=few, caught=few, first_rounds=8, new_deviation=0.08, deviation=0.06)
