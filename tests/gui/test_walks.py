# SPDX-License-Identifier: GPL-3.0-or-later
"""The three walks, where BACKFLIP_BLENDER names a Blender: no more presses than were promised."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.gui.blender import TRAINER, missing
from tests.gui.walks import prepare, walk

MOST_PRESSES = {"try_it": 4, "own": 9, "shoot": 6}


def test_from_the_first_press_to_a_bake_it_is_no_farther_than_promised() -> None:
    if lacking := missing():
        pytest.skip(lacking)
    if Path(os.environ[TRAINER]).absolute() != Path(sys.executable).absolute():
        pytest.skip("The walks are made once, by the tests of the Python that trains.")
    walked = walk(prepare(None))
    assert walked.keys() == MOST_PRESSES.keys()
    assert {name: each.presses for name, each in walked.items() if each.presses > MOST_PRESSES[name]} == {}
