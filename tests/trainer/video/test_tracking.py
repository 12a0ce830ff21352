# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a frame's candidates is the person, and which way round."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from backflip_addon.trainer.video import inspection, tracking
from backflip_addon.trainer.video.inspection import UnfitVideo
from backflip_addon.trainer.video.pictures import Region
from backflip_addon.trainer.video.pose_net import LANDMARKS, SWAPPED, Sighting

SHAPE = np.random.default_rng(0).normal(0, 40, (LANDMARKS, 2))


def sighting(x: float, score: float = 0.9, turned: float = 0.0, visible: float = 0.9) -> Sighting:
    """A person at x pixels, its landmarks turned about its middle by an angle, rad."""
    c, s = np.cos(turned), np.sin(turned)
    xy = SHAPE @ [[c, s], [-s, c]]
    world = np.concatenate([xy / 100, np.zeros((LANDMARKS, 1))], axis=1)
    region = Region(x, 200.0, 300.0, turned)
    return Sighting(score, xy + [x, 200.0], np.full(LANDMARKS, visible), world, region, region)


def test_the_path_holds_to_the_person_that_moves_on() -> None:
    """A surer candidate that is upside down, or far off, in single frames is passed over; a gap is left out."""
    frames = [[sighting(100.0 + 5 * i, 0.8)] for i in range(12)]
    frames[4].append(sighting(120.0, 0.95, turned=np.pi))
    frames[7].append(sighting(600.0, 1.0))
    frames[9] = []
    chosen = tracking.likeliest(frames)
    assert [None if one is None else round(one.region.x) for one in chosen] == [
        None if i == 9 else 100 + 5 * i for i in range(12)
    ]
    assert all(one is None or one.region.angle == 0.0 for one in chosen)


def test_left_and_right_are_exchanged_back() -> None:
    frames = [[sighting(100.0)] for _ in range(9)]
    frames[3], frames[4] = [sighting(100.0).swapped()], [sighting(100.0).swapped()]
    for one in tracking.likeliest(frames):
        assert one is not None
        np.testing.assert_allclose(one.xy, sighting(100.0).xy)
    assert sorted(SWAPPED) == list(range(LANDMARKS))


def test_nobody_and_several_people_are_refused() -> None:
    alone, two = [sighting(100.0)], [sighting(100.0), sighting(500.0)]
    inspection.check_people([alone] * 5, [alone[0]] * 5, boxed=False)
    inspection.check_people([two] * 5, [two[0]] * 5, boxed=True)
    with pytest.raises(UnfitVideo, match="Several people"):
        inspection.check_people([two] * 5, [two[0]] * 5, boxed=False)
    with pytest.raises(UnfitVideo, match="No person"):
        inspection.check_people([[]] * 5, [None] * 5, boxed=False)
    with pytest.raises(UnfitVideo, match="40% of the frames"):
        inspection.check_people([alone] * 2 + [[]] * 3, [alone[0]] * 2 + [None] * 3, boxed=False)


def test_several_looks_are_joined_with_left_and_right_as_they_were_chosen() -> None:
    """Each look is off in another way, and those in a mirror take left for right: their middle is the person."""
    true, looks = sighting(100.0), iter((30.0, -8.0, 9.0, -30.0, 0.0))

    def mark(_picture: object, _region: Region, mirrored: bool) -> Sighting:
        seen = sighting(100.0 + next(looks))
        return seen.swapped() if mirrored else seen

    (joined,) = tracking.looked_again([None], mark, [0], [true], lambda _share: None)  # type: ignore[arg-type]
    assert joined is not None
    np.testing.assert_allclose(joined.xy, true.xy, atol=1e-9)
    np.testing.assert_allclose(joined.world, true.world, atol=0.01)
    assert tracking.looked_again([None], mark, [0], [None], lambda _share: None) == [None]  # type: ignore[arg-type]


class _Shots:
    """Frames of brightness alone: a person that moves a little, and another shot of the same field."""

    def __len__(self) -> int:
        return 20

    def thumbnail(self, frame: int) -> np.ndarray:
        field = np.random.default_rng(int(frame >= 14)).uniform(0.4, 0.6, (27, 48))
        field[10:20, frame : frame + 5] = 0.1
        return field


def test_a_cut_between_alike_shots_is_told() -> None:
    with pytest.raises(UnfitVideo, match=r"cuts to another shot at 0\.47 s"):
        inspection.own_frames(_Shots(), 30.0)  # type: ignore[arg-type]
