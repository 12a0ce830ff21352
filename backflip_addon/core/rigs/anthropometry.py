# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of people's bodies: masses, centres of mass, stiffness and sizes of their parts.

A part is a link's name without its side: "thigh" stands for thigh.L and thigh.R.
"""

from __future__ import annotations

HUMAN_HEIGHT = (1.4, 2.0)  # m, least and greatest; a rig of another size is brought to USUAL_HEIGHT
USUAL_HEIGHT = 1.7  # m
USUAL_BMI = 22.0  # kg/m^2, the middle of the World Health Organization's normal range, 18.5 to 25

# Share of the body's mass, mean of women and men: de Leva 1996, "Adjustments to Zatsiorsky-Seluyanov's
# segment inertia parameters", J. Biomechanics 29(9), table 4. Pelvis and chest share the middle trunk.
_MIDDLE_TRUNK = 0.1549
MASS_SHARE = {
    "pelvis": 0.1182 + _MIDDLE_TRUNK / 2,
    "chest": 0.1570 + _MIDDLE_TRUNK / 2,
    "head": 0.0681,
    "upper_arm": 0.0263,
    "forearm": 0.0150,
    "hand": 0.00585,
    "thigh": 0.1447,
    "shin": 0.0457,
    "foot": 0.0133,
}
# Centre of mass along a limb, as a share of the way from its joint to the next: the same table.
CENTRE_SHARE = {"upper_arm": 0.576, "forearm": 0.457, "thigh": 0.385, "shin": 0.444}

# PD gains kp N m/rad and kd N m s/rad of DeepMimic's humanoid (Peng et al. 2018, data/controllers/humanoid3d_ctrl.txt),
# which has GAINS_SIZE; they grow with mass times height. The weak and the strong have the same.
GAINS = {
    "chest": (1000.0, 100.0),
    "head": (100.0, 10.0),
    "upper_arm": (400.0, 40.0),
    "forearm": (300.0, 30.0),
    "thigh": (500.0, 50.0),
    "shin": (500.0, 50.0),
    "foot": (400.0, 40.0),
}
GAINS_SIZE = 45.0 * 1.62  # kg m: 45 kg and 1.62 m

FARTHEST = 3.1  # rad: no joint reaches further, since half a turn either way looks the same

# Radii of a rig without skin, as shares of the standing height.
RADIUS_SHARE = {"upper_arm": 0.026, "forearm": 0.022, "thigh": 0.042, "shin": 0.030, "head": 0.062, "hand": 0.025}

# Principal moments of inertia of a part over those of the box around it. (A sphere has 0.6 of its box's, a cylinder
# 0.75 about its axis and up to 1 across it.)
ROUNDNESS = 0.8


def part_of(link: str) -> str:
    """A link's name without its side."""
    return link.partition(".")[0]
