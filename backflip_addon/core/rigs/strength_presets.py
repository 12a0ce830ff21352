# SPDX-License-Identifier: GPL-3.0-or-later
"""Strength in words: how hard and how fast a person's, an athlete's and a superhero's joints turn.

A joint has one bound for both ways and all axes: the stronger way's torque, the faster way's speed. Sources of most:

- Anderson: Anderson, Madigan and Nussbaum 2007, "Maximum voluntary joint torque as a function of joint angle and
  angular velocity", J. Biomechanics 40, table 3, ages 18 to 25, the mean of women and men. Torques are shares c1 of
  mass, height and g = 9.81; at the speed c5 half of the torque is left, which Hill's curve has at
  top_speed / (2 + CURVATURE).
- Gymnast: Jackson 2010, "The mechanics of the table contact phase of gymnastics vaulting" (thesis, Loughborough), a man
  of 69.6 kg and 1.73 m; his elbows from a tennis player's (Kentel et al. 2011, J. Applied Biomechanics 27), brought to
  his strength. Both as tabulated in RBDL's Millard2016TorqueMuscle.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping
from typing import NamedTuple

from ..body import Body, Link
from .anthropometry import GAINS, GAINS_SIZE, part_of


class JointStrength(NamedTuple):
    """torque: the greatest, N m for each kg of the body's mass and m of its height. top_speed: rad/s at which none of
    it is left, 0 where it never falls (Link.top_speed)."""

    torque: float
    top_speed: float


@dataclasses.dataclass(frozen=True)
class Preset:
    """One strength in words; whose: as in "an athlete's". joints: part -> its joint's strength."""

    whose: str
    joints: Mapping[str, JointStrength]


_PERSON = {
    # Extension: 911 N at the shoulder blades, of 60 people of 72.7 kg and 1.70 m (Kocjan and Sarabon 2014, J. Sports
    # Science and Medicine 13), taken to be 0.23 m above the joint. Speed: three quarters of an athlete's, as elsewhere
    "chest": JointStrength(1.7, 14.0),
    # Men's necks extend with 51 N m (Fice, Siegmund and Blouin 2014, Annals of Biomedical Engineering 42), women's with
    # less by as much as they are smaller (Garces et al. 2002, Medicine & Science in Sports & Exercise). Speed: as the
    # waist's
    "head": JointStrength(0.36, 15.0),
    # Adduction: 67.9 N m, the mean of ten young women and men (Holzbaur et al. 2007, J. Biomechanics 40). Speed: the
    # knee's; no table of many people was found
    "upper_arm": JointStrength(0.6, 21.0),
    # Flexion: women 40.5 N m (Falk et al. 2009, Pediatric Exercise Science 21), men 0.78 N m/kg while it slowly turns
    # (Lategan and Krueger 2003, African J. for Physical, Health Education, Recreation and Dance). Speed: the knee's
    "forearm": JointStrength(0.47, 21.0),
    "thigh": JointStrength(1.68, 19.0),  # Anderson: c1 0.171 of extension, c5 4.31 rad/s of flexion
    "shin": JointStrength(1.6, 21.0),  # Anderson: c1 0.161 of extension, c5 4.82 rad/s of flexion
    # Anderson has 0.98 and 15 rad/s, by which nobody could run: the ball of a runner's foot bears 2.5 body weights,
    # 6.5 % of the height before the ankle. The Achilles tendon, which a dynamometer does not stretch, gives some of it
    "foot": JointStrength(1.6, 18.0),
}
# Anderson's mean and two standard deviations: one in forty is as strong. A third faster than a person: muscle fibres
# that shorten by 12.7 lengths a second (van Soest and Bobbert 1993, b_rel / a_rel) turn a knee at 28 rad/s.
_ATHLETE = {
    # Kocjan and Sarabon's mean and two deviations of 272 N. Speed: by the fibres of the rectus abdominis, as in RBDL
    "chest": JointStrength(2.7, 19.0),
    "head": JointStrength(0.5, 20.0),  # Fice's mean and two deviations of 11 N m
    "upper_arm": JointStrength(1.07, 28.0),  # the gymnast; Holzbaur's mean and two deviations are the same
    "forearm": JointStrength(0.84, 28.0),  # the gymnast
    "thigh": JointStrength(2.6, 25.0),  # Anderson: c1 0.267
    "shin": JointStrength(2.4, 28.0),  # the gymnast; Anderson: c1 0.229
    "foot": JointStrength(2.4, 24.0),  # 1.5 times a person's, as the knee
}
SUPERHERO_FACTOR = (
    2.0  # of an athlete's torques, with no loss at speed: more than anybody has, and than DeepMimic's figure
)
_SUPERHERO = {part: JointStrength(SUPERHERO_FACTOR * joint.torque, 0.0) for part, joint in _ATHLETE.items()}

PRESETS: dict[str, Preset] = {  # weakest first
    "person": Preset("a person's", _PERSON),
    "athlete": Preset("an athlete's", _ATHLETE),
    "superhero": Preset("a superhero's", _SUPERHERO),
}
DEFAULT = "athlete"


def preset_at(place: float) -> str:
    """The key of PRESETS at a place, counted from 0; "" where there is none."""
    return next((name for number, name in enumerate(PRESETS) if number == place), "")


def with_strength(body: Body, preset: str) -> Body:
    """The body with the strength of a preset (a key of PRESETS), its user's factors kept.

    A joint's gains are the same for every preset, and tell the size and the factor that they were made with.
    """
    joints = PRESETS[preset].joints
    return dataclasses.replace(body, links=tuple(_strengthened(link, joints) for link in body.links))


def weakened_parts(body: Body) -> tuple[str, ...]:
    """The parts whose strength the user's factor lowers, against the middle of all parts."""
    sizes = {part_of(link.name): _size(link) for link in body.links if part_of(link.name) in GAINS}
    return tuple(part for part, size in sizes.items() if size < 0.95 * statistics.median(sizes.values()))


def _size(link: Link) -> float:
    """Mass times height, kg m, that a joint's gains were made with, times the user's factor."""
    return GAINS_SIZE * link.kp / GAINS[part_of(link.name)][0]


def _strengthened(link: Link, joints: Mapping[str, JointStrength]) -> Link:
    part = part_of(link.name)
    if part not in joints:
        return link
    return dataclasses.replace(link, torque=joints[part].torque * _size(link), top_speed=joints[part].top_speed)
