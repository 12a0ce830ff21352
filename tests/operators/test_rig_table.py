# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of rigs and clips, as a program."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("bpy")

PROGRAM = Path(__file__).resolve().parents[1] / "benchmarks" / "rigs.py"
KEYS = {
    "file", "refused", "roles", "unmapped_roles", "height_m", "mass_kg", "seconds", "limb_direction_deg",
    "planted_skate_cm_s", "success", "bake_error_mm",
}  # fmt: skip


def test_the_table(samples: Path, tmp_path: Path) -> None:
    for folder, files in (
        ("rigs", ("CesiumMan.glb", "kenney_mini_character-female-a.glb")),
        ("motions", ("cmu1_jumping_jacks.bvh",)),
    ):
        (tmp_path / folder).mkdir()
        for file in files:
            shutil.copy(samples / folder / file, tmp_path / folder)
    result = tmp_path / "table.json"
    command = [sys.executable, str(PROGRAM), "--no-search", "--json", str(result)]
    command += ["--rigs", str(tmp_path / "rigs"), "--clips", str(tmp_path / "motions")]
    assert subprocess.run(command, capture_output=True, timeout=600).returncode == 0
    man, toy = json.loads(result.read_text(encoding="utf-8"))["rigs"]
    assert set(man) >= KEYS and set(toy) >= KEYS
    assert man["refused"] is None and man["roles"]["forearm.L"] == "Skeleton_arm_joint_L__3_"
    assert man["limb_direction_deg"] < 3.0 and man["bake_error_mm"] < 1.0 and man["planted_skate_cm_s"] < 4.0
    assert man["seconds"] < 2.0 and 1.4 < man["height_m"] < 1.6 and man["success"] is None
    assert "only 7 bones" in toy["refused"] and toy["roles"] == {}
