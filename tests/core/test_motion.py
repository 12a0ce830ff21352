# SPDX-License-Identifier: GPL-3.0-or-later
"""Motions: exact time, and files that are whole, refused or absent but never half."""

from __future__ import annotations

import dataclasses
import errno
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from backflip_addon.core import motion as motions
from backflip_addon.core import rotations
from backflip_addon.core.motion import Motion, Take

RNG = np.random.default_rng(11)
LINKS = 4
VELOCITY = np.array([0.4, -1.0, 0.2])
SPINS = RNG.normal(size=(LINKS, 3))  # rad/s, slow enough for no frame to turn half round


def pose_at(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A performance known at every instant: everything moves and turns steadily."""
    times = np.asarray(times)
    return VELOCITY * times[:, None], rotations.from_rotation_vector(SPINS * times[:, None, None])


def steady(rate: float = 120.0, seconds: float = 2.0) -> Motion:
    return Motion(rate, *pose_at(np.arange(round(seconds * rate) + 1) / rate))


def same_turns(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.all(rotations.angle_between(a, b) < 1e-6))


def some_take(frames: int = 30) -> Take:
    contacts = RNG.random((frames, LINKS)) < 0.5
    meta = {"name": "Sprung – „hoch“", "seed": 3, "measures": {"landed": None, "score": 0.25}}
    motion = steady(120.0, (frames - 1) / 120.0)
    return Take(motion, contacts, RNG.random(frames), np.zeros(frames), meta)


@pytest.mark.parametrize("fps", [24.0, 25.0, 30.0, 60.0, 23.976, 1000.0])
def test_the_same_performance_at_every_frame_rate(fps: float) -> None:
    resampled = steady().resampled(fps)
    position, turns = pose_at(np.arange(resampled.frames) / fps)
    assert np.allclose(resampled.position, position, atol=1e-9)
    assert same_turns(resampled.rotations, turns)
    assert 2.0 - 1 / fps < resampled.duration <= 2.0 + 1e-6
    assert resampled.rate == fps


def test_frame_rates_agree_at_common_times_on_any_motion() -> None:
    wild = Motion(120.0, RNG.normal(size=(241, 3)), rotations.normalise(RNG.normal(size=(241, LINKS, 4))))
    rates = {fps: wild.resampled(fps) for fps in (24.0, 30.0, 60.0, 120.0)}
    for fps, motion in rates.items():
        for second in (0.0, 0.5, 1.0, 1.5, 2.0):
            frame = round(second * fps)
            assert np.allclose(motion.position[frame], wild.position[round(second * 120)]), (fps, second)
            assert same_turns(motion.rotations[frame], wild.rotations[round(second * 120)])


def test_resampling_to_its_own_rate_changes_nothing() -> None:
    motion = steady(30.0)
    again = motion.resampled(30.0)
    assert again.frames == motion.frames
    assert np.allclose(again.position, motion.position) and same_turns(again.rotations, motion.rotations)


def turning_walk(mismatch: float = 0.0) -> Motion:
    """A cycle of 1 s at 60 Hz that walks 1.2 m along an arc of 40 degrees; its limbs end mismatch rad off."""
    t = np.linspace(0, 1, 61)
    heading = np.radians(40) * t
    radius = 1.2 / np.radians(40)
    height = 0.9 + 0.02 * np.sin(2 * np.pi * t) + 0.2 * mismatch * t
    path = np.stack([radius * (np.cos(heading) - 1), radius * np.sin(heading), height], axis=1)
    swing = 0.5 * np.sin(2 * np.pi * t[:, None] + np.arange(LINKS - 1)) + mismatch * t[:, None]
    limbs = rotations.from_axis_angle([1.0, 0.0, 0.0], swing)
    root = rotations.from_axis_angle([0.0, 0.0, 1.0], heading + 0.7)
    return Motion(60.0, path, np.concatenate([root[:, None], limbs], axis=1), loops=True)


@pytest.mark.parametrize("mismatch", [0.0, 0.15])
def test_a_cycle_is_performed_on_end(mismatch: float) -> None:
    """The walker goes on along its arc, and neither its limbs nor its path jump at the seams."""
    cycle = turning_walk(mismatch)
    walk = cycle.repeated(3)
    assert walk.duration == pytest.approx(3 * cycle.duration) and walk.loops
    angle = np.radians(120)
    radius = 1.2 / np.radians(40)
    np.testing.assert_allclose(walk.position[-1, :2], [radius * (np.cos(angle) - 1), radius * np.sin(angle)], atol=1e-6)
    assert np.ptp(walk.position[:, 2]) < 0.05 + 0.2 * mismatch
    for parts, limit in ((walk.rotations, 4.0 + 8 * mismatch), (walk.rotations[:, :1], 1.0)):
        speed = rotations.angle_between(parts[1:], parts[:-1]) * 60
        assert speed.max() < limit
    stride = np.linalg.norm(np.diff(walk.position, axis=0), axis=1)
    assert stride.max() < 1.3 * stride.mean()
    assert same_turns(walk.rotations[:40], cycle.rotations[:40])  # up to the first seam it is the clip itself


def test_past_the_ends_it_holds_still() -> None:
    motion = steady()
    position, turns = motion.sample([-1.0, 2.0, 99.0])
    assert np.allclose(position, motion.position[[0, -1, -1]])
    assert same_turns(turns, motion.rotations[[0, -1, -1]])


def test_a_single_frame_can_be_sampled() -> None:
    one = Motion(30.0, *pose_at(np.array([0.5])))
    position, turns = one.sample([0.0, 1.0])
    assert np.allclose(position, one.position[0]) and same_turns(turns, one.rotations[[0, 0]])


def test_samples_between_frames_turn_the_short_way() -> None:
    q = np.array([[[1.0, 0, 0, 0]], [[-np.cos(0.1), 0, 0, -np.sin(0.1)]]])  # 0.2 rad, with the other sign
    _, turns = Motion(1.0, np.zeros((2, 3)), q).sample([0.5])
    assert rotations.angle_between(turns[0, 0], [np.cos(0.05), 0, 0, np.sin(0.05)]) < 1e-9


def test_scaled_in_time_twice_as_slow() -> None:
    slow = steady().scaled_in_time(2.0)
    assert slow.duration == pytest.approx(4.0)
    assert np.allclose(slow.sample([3.0])[0], pose_at(np.array([1.5]))[0])
    for factor in (0.01, 1000.0):
        scaled = steady().scaled_in_time(factor)
        motions.validate(scaled, scaled.rotations.shape[1])
        assert scaled.duration == pytest.approx(2.0 * factor, abs=0.001)


def test_trimmed_keeps_the_frames_between() -> None:
    trimmed = steady(30.0).trimmed(0.5, 1.0)
    assert trimmed.frames == 16
    assert np.allclose(trimmed.position[0], VELOCITY * 0.5) and np.allclose(trimmed.position[-1], VELOCITY * 1.0)
    assert steady(30.0).trimmed(-5, 99).frames == 61
    for start, end in ((1.0, 1.0), (1.5, 0.5), (5.0, 9.0), (0.501, 0.51)):
        with pytest.raises(ValueError):
            steady(30.0).trimmed(start, end)


def test_how_sure_links_are_goes_with_the_frames(tmp_path: Path) -> None:
    """Through trims, other rates, cycles and files; and what does not fit is refused."""
    sure = np.linspace(0.0, 1.0, 61)[:, None] * np.ones(LINKS)
    motion = dataclasses.replace(steady(30.0), sure=sure)
    changed = motion.trimmed(1.0, 2.0).resampled(60.0)
    assert changed.sure is not None and np.allclose(changed.sure[:, 0], np.linspace(0.5, 1.0, 61))
    twice = motion.repeated(2)
    assert twice.sure is not None and twice.sure.shape == (twice.frames, LINKS)
    assert steady().sure_at([0.5]) is None
    motions.save_motion(tmp_path / "a.npz", motion)
    again = motions.load_motion(tmp_path / "a.npz")
    assert again.sure is not None and np.array_equal(again.sure, sure)
    motions.save_motion(tmp_path / "a.npz", dataclasses.replace(motion, sure=sure[1:]))
    with pytest.raises(ValueError, match="how sure"):
        motions.load_motion(tmp_path / "a.npz")


def test_motion_file_returns_to_the_bit(tmp_path: Path) -> None:
    motion = dataclasses.replace(steady(), loops=True)
    motions.save_motion(tmp_path / "a.npz", motion)
    again = motions.load_motion(tmp_path / "a.npz")
    assert again.rate == motion.rate and again.loops is True
    assert np.array_equal(again.position, motion.position) and np.array_equal(again.rotations, motion.rotations)


def test_take_file_returns_to_the_bit(tmp_path: Path) -> None:
    take = some_take()
    motions.save_take(tmp_path / "a.npz", take)
    again = motions.load_take(tmp_path / "a.npz")
    assert again.meta == take.meta and again.contacts.dtype == bool
    for one, other in ((take.contacts, again.contacts), (take.torque, again.torque), (take.assist, again.assist)):
        assert np.array_equal(one, other)
    assert np.array_equal(again.motion.rotations, take.motion.rotations) and again.load is None
    loaded = dataclasses.replace(
        take, load=np.random.default_rng(1).uniform(size=take.contacts.shape).astype(np.float32)
    )
    motions.save_take(tmp_path / "a.npz", loaded)
    assert np.array_equal(motions.load_take(tmp_path / "a.npz").load, loaded.load)


@pytest.mark.parametrize("load", [np.zeros(30), np.zeros((30, 2)), np.full((30, 4), np.nan)])
def test_a_damaged_load_is_refused(tmp_path: Path, load: np.ndarray) -> None:
    take = some_take()
    assert take.contacts.shape == (30, 4)
    motions.save_take(tmp_path / "a.npz", dataclasses.replace(take, load=load))
    with pytest.raises(ValueError, match="damaged"):
        motions.load_take(tmp_path / "a.npz")


def test_a_take_keeps_what_the_floor_carried_or_that_it_is_not_known(tmp_path: Path) -> None:
    take = some_take()
    load = RNG.random(take.contacts.shape).astype(np.float32)
    for given in (None, load):
        motions.save_take(tmp_path / "a.npz", dataclasses.replace(take, load=given))
        again = motions.load_take(tmp_path / "a.npz").load
        assert (again is None) if given is None else np.array_equal(again, load)
    for wrong in (load[1:], load.astype(np.float16), np.full_like(load, np.nan)):
        arrays = dict(np.load(tmp_path / "a.npz")) | {"load": wrong}
        np.savez(tmp_path / "wrong.npz", **arrays)
        with pytest.raises(ValueError, match=r"wrong\.npz is damaged"):
            motions.load_take(tmp_path / "wrong.npz")


def test_a_take_can_be_read_as_a_motion(tmp_path: Path) -> None:
    motions.save_take(tmp_path / "a.npz", some_take())
    assert motions.load_motion(tmp_path / "a.npz").frames == 30


def refused(path: Path) -> None:
    """Both readers answer with one sentence."""
    for read in (motions.load_motion, motions.load_take):
        with pytest.raises(ValueError) as caught:
            read(path)
        assert path.name in str(caught.value) and "\n" not in str(caught.value)


def test_missing_empty_and_foreign_files(tmp_path: Path) -> None:
    refused(tmp_path / "nothing.npz")
    folder = tmp_path / "folder.npz"
    folder.mkdir()
    refused(folder)
    for name, content in (("empty", b""), ("text", b"Frames: 3\n"), ("zeros", bytes(4096)), ("zip", b"PK\x03\x04")):
        file = tmp_path / f"{name}.npz"
        file.write_bytes(content)
        refused(file)
    with open(tmp_path / "array.npz", "wb") as file:
        np.save(file, np.zeros(3))
    refused(tmp_path / "array.npz")
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(tmp_path / "other.npz")


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    motions.save_take(tmp_path / "whole.npz", some_take())
    whole = (tmp_path / "whole.npz").read_bytes()
    cut = tmp_path / "cut.npz"
    for length in [*range(0, len(whole), max(len(whole) // 40, 1)), len(whole) - 1]:
        cut.write_bytes(whole[:length])
        refused(cut)


def test_flipped_bytes_are_refused_or_harmless(tmp_path: Path) -> None:
    """Zip checks its contents; what it does not check (dates, flags) may pass, but nothing else is ever raised."""
    motions.save_take(tmp_path / "whole.npz", some_take())
    whole = (tmp_path / "whole.npz").read_bytes()
    expected = motions.load_take(tmp_path / "whole.npz")
    file = tmp_path / "flipped.npz"
    for place in RNG.choice(len(whole), 400, replace=False):
        content = bytearray(whole)
        content[place] ^= 1 << RNG.integers(8)
        file.write_bytes(content)
        try:
            take = motions.load_take(file)
        except ValueError as error:
            assert file.name in str(error)
        else:
            assert np.array_equal(take.motion.position, expected.motion.position)


class Bomb:
    """Pickled, it would make a file when it is read."""

    def __reduce__(self) -> tuple:
        return Path.touch, (Path(Bomb.file),)

    file = ""


def test_pickles_are_refused_and_never_run(tmp_path: Path) -> None:
    Bomb.file = str(tmp_path / "exploded")
    arrays = motions._motion_arrays(steady(30.0))
    with open(tmp_path / "bomb.npz", "wb") as file:
        np.savez(file, **{**arrays, "position": np.array([Bomb()], dtype=object)})
    refused(tmp_path / "bomb.npz")
    buffer = io.BytesIO()
    np.save(buffer, np.array([Bomb()], dtype=object), allow_pickle=True)
    (tmp_path / "bare.npz").write_bytes(buffer.getvalue())
    refused(tmp_path / "bare.npz")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", 2),
        ("version", "one"),
        ("version", [1, 1]),
        ("version", np.inf),
        ("rate", "fast"),
        ("rate", [30.0, 30.0]),
        ("loops", [True, False]),
        ("position", "nowhere"),
        ("position", 3.0),
        ("rotations", [["a"]]),
        ("position", None),
        ("rotations", None),
        ("rate", None),
    ],
)
def test_wrong_contents_are_refused(tmp_path: Path, key: str, value: object) -> None:
    arrays = motions._motion_arrays(steady(30.0)) | {key: np.array(value)}
    if value is None:
        del arrays[key]
    with open(tmp_path / "wrong.npz", "wb") as file:
        np.savez(file, **arrays)
    refused(tmp_path / "wrong.npz")


@pytest.mark.parametrize("meta", ["", "{", "[]", "3", None])
def test_takes_with_damaged_facts_are_refused(tmp_path: Path, meta: str | None) -> None:
    arrays = motions._motion_arrays(steady(30.0))
    arrays |= {"contacts": np.zeros((61, LINKS), bool), "torque": np.zeros(61), "assist": np.zeros(61)}
    if meta is not None:
        arrays["meta"] = np.array(meta)
    with open(tmp_path / "wrong.npz", "wb") as file:
        np.savez(file, **arrays)
    with pytest.raises(ValueError, match=r"wrong\.npz"):
        motions.load_take(tmp_path / "wrong.npz")


@pytest.mark.parametrize("key", ["contacts", "torque", "assist"])
def test_takes_whose_parts_differ_in_length_are_refused(tmp_path: Path, key: str) -> None:
    take = some_take()
    motions.save_take(tmp_path / "wrong.npz", dataclasses.replace(take, **{key: getattr(take, key)[:-1]}))
    with pytest.raises(ValueError, match=r"wrong\.npz"):
        motions.load_take(tmp_path / "wrong.npz")


def test_validate() -> None:
    motion = steady(30.0)
    motions.validate(motion, LINKS)
    broken = [
        dataclasses.replace(motion, position=motion.position[:1], rotations=motion.rotations[:1]),
        dataclasses.replace(motion, position=motion.position[:-1]),
        dataclasses.replace(motion, rate=0.0),
        dataclasses.replace(motion, rate=float("nan")),
        dataclasses.replace(motion, rate=1e9),
        dataclasses.replace(motion, position=np.where(motion.position > 0.5, np.nan, motion.position)),
        dataclasses.replace(motion, rotations=np.full_like(motion.rotations, np.inf)),
        dataclasses.replace(motion, rotations=motion.rotations[..., :3]),
        dataclasses.replace(motion, rotations=np.zeros_like(motion.rotations)),
    ]
    for wrong in broken:
        with pytest.raises(ValueError):
            motions.validate(wrong, LINKS)
    with pytest.raises(ValueError):
        motions.validate(motion, LINKS + 1)


def test_saving_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.npz"
    motions.save_motion(file, steady(30.0))
    before = file.read_bytes()

    def break_down(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez_compressed", break_down)
        with pytest.raises(OSError):
            motions.save_motion(file, steady(60.0))
    assert file.read_bytes() == before
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", break_down)
        with pytest.raises(OSError):
            motions.save_take(file, some_take())
    assert file.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"], "a half-written file does not fill the disk"
    motions.save_motion(file, steady(60.0))
    assert motions.load_motion(file).rate == 60.0


@pytest.mark.skipif(os.name == "nt", reason="a file's size cannot be limited there")
def test_a_disk_that_fills_up_meanwhile_is_told_and_nothing_else(tmp_path: Path) -> None:
    """In a process of its own, whose files may have 4096 bytes."""
    script = (
        "import resource, signal, sys, numpy, pathlib; from backflip_addon.core.npz import write_npz\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "for compressed in (True, False):\n"
        "    try: write_npz(pathlib.Path(sys.argv[1]), {'a': numpy.random.rand(10_000)}, compressed)\n"
        "    except OSError as error: print(error.strerror)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, tmp_path / "a.npz"], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{os.strerror(errno.EFBIG)}\n" * 2, "")
    assert not list(tmp_path.iterdir())


def test_the_temporary_name_is_not_taken_for_a_take(tmp_path: Path) -> None:
    motions.save_take(tmp_path / "0000_search.npz", some_take())
    assert [file.name for file in tmp_path.iterdir()] == ["0000_search.npz"]
    assert not (tmp_path / "0000_search.npz.tmp").match("*.npz")
