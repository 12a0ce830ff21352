# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.scene.animation import action_slots  # noqa: E402

from . import moves, rigs  # noqa: E402

HERO, VILLAIN = {"thigh.L": 50.0}, {"thigh.L": -30.0, "thigh.R": 20.0, "shin.L": 30.0}


@pytest.fixture
def fight() -> bpy.types.Action:
    """An action of two; the villain's slot moves more bones."""
    rigs.empty_scene()
    action = bpy.data.actions.new("Fight")
    moves.add_slot(action, "Hero", HERO)
    moves.add_slot(action, "Villain", VILLAIN)
    return action


def test_a_slot_is_the_one_that_is_bound_then_the_one_that_is_named(fight: bpy.types.Action) -> None:
    hero, villain = fight.slots
    rig = rigs.build(name="Somebody")
    with pytest.raises(action_slots.SlotError, match=r"Hero, Villain"):
        action_slots.pick_slot(moves_both(fight), rig)
    moves.play(rig, fight, hero)
    assert action_slots.pick_slot(fight, rig) == hero
    rig.animation_data.action = None
    assert action_slots.pick_slot(fight, rig) == hero, "the last one that was played"
    assert action_slots.pick_slot(fight, rig, "Villain") == action_slots.pick_slot(fight, rig, "OBVillain") == villain
    rig.animation_data_clear()
    rig.name = "Villain"
    assert action_slots.pick_slot(fight, rig) == villain
    rig.name = "Hero"
    assert action_slots.pick_slot(fight, rig) == hero


def moves_both(action: bpy.types.Action) -> bpy.types.Action:
    """The action with a hero that moves nearly as many bones as the villain."""
    bag = action.layers[0].strips[0].channelbag(action.slots[0])
    bag.fcurves.new('pose.bones["shin.L"].rotation_euler', index=0)
    return action


def test_a_strip_binds_its_slot_also_when_it_is_muted_and_two_are_asked_about(fight: bpy.types.Action) -> None:
    rig = rigs.build(name="Somebody")
    moves_both(fight)
    moves.add_strip(rig, fight, fight.slots[0], 30).mute = True
    assert action_slots.pick_slot(fight, rig) == fight.slots[0]
    moves.add_strip(rig, fight, fight.slots[1], 30)
    with pytest.raises(action_slots.SlotError, match="choose the one to imitate"):
        action_slots.pick_slot(fight, rig)


def test_a_named_slot_that_another_plays_is_not_taken_for_ones_own(fight: bpy.types.Action) -> None:
    moves_both(fight)
    moves.play(rigs.build(name="Other"), fight, fight.slots[0])
    with pytest.raises(action_slots.SlotError):
        action_slots.pick_slot(fight, rigs.build(name="Hero"))


def test_cover_decides_where_nothing_binds(fight: bpy.types.Action) -> None:
    assert action_slots.pick_slot(fight, rigs.build(name="Somebody")) == fight.slots[1], "three bones against one"
