# SPDX-License-Identifier: GPL-3.0-or-later
"""Words are found on a screen where they stand whole and can be pressed, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from tests.gui import pictures

GROUND, LETTERS, GREYED = 60, 220, 90
PLACE = (40, 30)  # x, y of the words' left upper corner


@pytest.fixture
def words() -> np.ndarray:
    """Letters of a made-up script, white on black with room round them."""
    drawn = np.zeros((20, 48))
    drawn[4:16, 4:44] = 255.0 * (np.random.default_rng(3).random((12, 40)) > 0.5)
    return drawn


def screen(words: np.ndarray, letters: int) -> np.ndarray:
    picture = np.full((100, 200, 3), GROUND, np.uint8)
    x, y = PLACE
    shown = words[4:16, 4:44, None] > 0
    picture[y : y + 12, x : x + 40] = np.where(shown, letters, GROUND)
    return picture


def test_words_are_found_in_any_colour_and_passed_over_where_they_are_greyed_out(words: np.ndarray) -> None:
    [(x, y)] = pictures.find(screen(words, LETTERS), words)
    assert abs(x - (PLACE[0] + 20)) <= 4 and abs(y - (PLACE[1] + 6)) <= 2
    assert pictures.find(255 - screen(words, LETTERS), words) == [(x, y)]
    assert pictures.find(screen(words, GREYED), words) == []


def test_what_goes_on_after_the_words_is_another_text(words: np.ndarray) -> None:
    longer = screen(words, LETTERS)
    longer[PLACE[1] : PLACE[1] + 12, PLACE[0] + 43 : PLACE[0] + 46] = LETTERS
    assert pictures.find(longer, words) == []
    assert len(pictures.find(longer, words, whole=False)) == 1
    cut = screen(words, LETTERS)
    cut[:, PLACE[0] + 30 :] = GROUND
    assert pictures.find(cut, words, whole=False) == []
