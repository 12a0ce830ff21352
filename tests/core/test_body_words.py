# SPDX-License-Identifier: GPL-3.0-or-later
"""Bone names in the languages people rig in, with every style of side, and the optional roles beside a family's."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backflip_addon.core.rigs import body_words, roles
from backflip_addon.core.rigs.rig import Rig

from .skeletons import figure

_PARTS = ("shoulder", "upper_arm", "forearm", "hand", "thigh", "shin", "foot", "toe")
_TRUNK = ("pelvis", "spine", "chest", "neck", "head")

# trunk from the pelvis to the head; collar to hand and thigh to toe ("-": no such bone); words for left and right
LANGUAGES = {
    "en": ("hips spine chest neck head", "clavicle arm elbow wrist leg knee ankle toes", "left right"),
    "de": ("Becken Wirbelsäule Brust Hals Kopf", "Schulter Oberarm Unterarm Hand Bein Knie Fuß Zehen", "links rechts"),
    "de 2": (
        "Hüfte Bauch Brustkorb Hals Kopf",
        "Schlüsselbein Arm Ellbogen Handgelenk Oberschenkel Unterschenkel Fuss -",
        "li re",
    ),
    "fr": ("Bassin Colonne Poitrine Cou Tête", "Épaule Bras AvantBras Main Cuisse Jambe Pied Orteils", "G D"),
    "es": ("cadera columna pecho cuello cabeza", "hombro brazo antebrazo mano muslo pierna pie -", "izq der"),
    "es 2": ("Pelvis Espalda Torax Cuello Cabeza", "Clavicula Brazo Codo Mano Pierna Rodilla Tobillo -", "I D"),
    "it": ("bacino colonna petto collo testa", "spalla braccio avambraccio mano coscia gamba piede -", "S D"),
    "it 2": (
        "Bacino Schiena Torace Collo Testa",
        "Clavicola Braccio Gomito Polso Coscia Ginocchio Caviglia -",
        "sx dx",
    ),
    "pt": ("quadril coluna peito pescoço cabeça", "ombro braço antebraço mão coxa perna pé -", "esq dir"),
    "pt 2": ("bacia coluna tronco pescoco cabeca", "clavicula braco cotovelo pulso coxa joelho tornozelo -", "E D"),
    "nl": ("heupen rug borstkas nek hoofd", "schouder arm elleboog pols been knie enkel teen", "links rechts"),
    "pl": ("miednica kręgosłup klatka szyja głowa", "obojczyk ramię przedramię dłoń udo łydka stopa -", "lewa prawa"),
    "pl 2": ("biodra plecy klatka szyja glowa", "bark reka lokiec nadgarstek noga kolano kostka -", "L P"),
    "cs": ("panev pater hrudnik krk hlava", "klicni paze predlokti zapesti stehno lytko chodidlo -", "levy pravy"),
    "ru": ("Таз Позвоночник Грудь Шея Голова", "Ключица Плечо Предплечье Кисть Бедро Голень Стопа Носок", "Л П"),
    "ru 2": ("таз спина грудь шея голова", "ключица рука локоть кисть нога колено стопа -", "лев прав"),
    "ru 3": ("taz spina grud sheya golova", "klyuchica plecho predplechie kist bedro golen stopa -", "L R"),
    "tr": ("kalça omurga göğüs boyun baş", "omuz kol dirsek el bacak diz ayak -", "sol sag"),
    "sv": ("höfter ryggrad bröst nacke huvud", "nyckelben arm armbåge hand ben knä fot tå", "vänster höger"),
    "no": ("bekken rygg bryst hals hode", "krageben overarm underarm hånd lår legg fot tå", "v h"),
    "id": ("pinggul punggung dada leher kepala", "bahu lengan siku tangan paha betis kaki -", "kiri kanan"),
    "zh": ("骨盆 脊椎 胸部 脖子 头", "锁骨 上臂 前臂 手 大腿 小腿 脚 脚趾", "左 右"),
    "zh 2": ("骨盆 脊柱 胸部 頸部 頭", "鎖骨 手臂 手肘 手腕 腿 膝蓋 腳踝 -", "左 右"),
    "ja": ("骨盤 背骨 胸 首 頭", "鎖骨 腕 ひじ 手首 太もも ひざ 足首 つま先", "L R"),
    "ja 2": ("腰 背骨 胸 首 頭", "肩 上腕 前腕 手 足 すね 足首 -", "左 右"),
    "ja 3": ("koshi sebone mune kubi atama", "kata ude hiji te momo hiza ashikubi -", "hidari migi"),
    "ko": ("골반 척추 가슴 목 머리", "쇄골 팔 팔꿈치 손 다리 무릎 발 발가락", "왼쪽 오른쪽"),
}
STYLES = (
    "{word}.{side}",
    "{side}_{word}",
    "{word}-{side}",
    "{side} {word}",
    "rig:{word}_{side}.001",
    "DEF-{word}.{side}",
)


def named(language: str, style: str, **kind: object) -> tuple[Rig, dict[str, str]]:
    """A figure with a language's names, and the map it should get."""
    trunk, limbs, sides = (text.split() for text in LANGUAGES[language])
    names = dict(zip(_TRUNK, trunk, strict=True))
    for role, word in zip(_PARTS, limbs, strict=True):
        for side, letter in zip("LR", sides, strict=True):
            names[f"{role}.{side}"] = style.format(word=word, side=letter)
    without = tuple(f"{role}.{side}" for role, word in zip(_PARTS, limbs, strict=True) if word == "-" for side in "LR")
    rig = figure(name=names.__getitem__, leave_out=without, **kind)
    return rig, {role: name for role, name in names.items() if role not in without}


@pytest.mark.parametrize("number", range(len(LANGUAGES)))
def test_words_of_the_body_with_every_style_of_side(number: int) -> None:
    language = list(LANGUAGES)[number]
    for style in (STYLES[number % len(STYLES)], STYLES[(number + 2) % len(STYLES)]):
        rig, expected = named(language, style)
        assert body_words.read(rig).bones == expected
        found = roles.guess(rig)
        assert found.bones == expected
        certain = {role for role, sure in found.certain.items() if sure}
        assert {role for role in roles.REQUIRED if role not in ("pelvis", "chest")} <= certain


@pytest.mark.parametrize(
    ("language", "style"), [("ja", "{word}{side}"), ("zh", "{side}{word}"), ("ko", "{side}{word}")]
)
def test_scripts_without_blanks(language: str, style: str) -> None:
    rig, expected = named(language, style)
    assert roles.guess(rig).bones == expected


@pytest.mark.parametrize("names", ["{side}{word}", "{word}{side}"])
def test_names_written_together(names: str) -> None:
    for language in ("de", "en", "es"):
        rig, expected = named(language, names)
        rig = dataclasses.replace(rig, bones=tuple(bone.lower() for bone in rig.bones))
        assert roles.guess(rig).bones == {role: bone.lower() for role, bone in expected.items()}


@pytest.mark.parametrize(
    ("arm", "leg"), [("腕", "脚"), ("arm", "leg"), ("Arm", "Bein"), ("рука", "нога"), ("bras", "jambe")]
)
def test_one_word_for_a_whole_limb_is_told_apart_by_the_chain(arm: str, leg: str) -> None:
    names = {role: role for role in _TRUNK}
    for side in "LR":
        arms = ("upper_arm", "forearm", "hand")
        names |= {f"{part}.{side}": f"{arm}{i or ''}_{side}" for i, part in enumerate(arms)}
        names |= {f"{part}.{side}": f"{leg}{i or ''}_{side}" for i, part in enumerate(("thigh", "shin", "foot"))}
    without = tuple(f"{part}.{side}" for part in ("shoulder", "toe") for side in "LR")
    found = roles.guess(figure(name=names.__getitem__, leave_out=without))
    assert found.bones == {role: bone for role, bone in names.items() if role in roles.ROLES}
    assert not any(found.certain[f"{part}.{side}"] for part in ("thigh", "shin", "foot") for side in "LR")


def test_sides_alone_tell_left_from_right() -> None:
    """The names say nothing but the side, and that against what the feet would tell."""
    for style in ("Bone_{side}_{number:02d}", "{number:02d}.{side}", "{number:02d}右左"):
        names: dict[str, str] = {}
        for number, role in enumerate((*_TRUNK, *(f"{part}.{side}" for part in _PARTS for side in "LR"))):
            side = role[-1] if role[-2:-1] == "." else ""
            shown = {"L": "左", "R": "右", "": ""}[side] if "右左" in style else side
            names[role] = style.replace("右左", shown).format(side=shown, number=number)
        rig = figure(name=names.__getitem__, leave_out=("toe.L", "toe.R"))
        found = roles.guess(rig)
        assert {role: names[role] for role in found.bones} == found.bones
        assert not any(found.certain.values())
        # mirrored in place: the names still tell
        rest = rig.rest.copy()
        rest[:, 0, 3] *= -1
        mirrored = roles.guess(dataclasses.replace(rig, rest=rest, tails=rig.tails * [-1, 1, 1]))
        assert mirrored.bones["thigh.L"] == names["thigh.L"]


@pytest.mark.parametrize("letters", ["DGXK", "ABCDEF", "LXYZ", "SDIV", "ЛПК"])
def test_letters_of_meaningless_names_are_no_sides(letters: str) -> None:
    """Left and right are told by the feet then."""
    names: dict[str, str] = {}
    for number, role in enumerate((*_TRUNK, *(f"{part}.{side}" for part in _PARTS for side in "LR"))):
        names[role] = f"{letters[number * 7 % 3 if number % 5 else -1]}{letters[number * 3 % len(letters)]}{number:02d}"
        names[role] = f"{names[role][0]}-{names[role][1:]}-{letters[number % len(letters)]}"
    found = roles.guess(figure(name=names.__getitem__))
    assert {role: names[role] for role in roles.REQUIRED} == {role: found.bones[role] for role in roles.REQUIRED}
    assert not any(found.certain.values())


def test_fingers_hair_and_helpers_are_no_hands_and_feet() -> None:
    rig, expected = named("fr", "{word}_{side}")
    more = ["Pouce_G", "IK_Pied_D", "cheveux_G", "doigt_main_G", "twist_Bras_D", "jupe_D"]
    parents = [rig.index(expected[role]) for role in ("hand.L", "pelvis", "head", "hand.L", "upper_arm.R", "pelvis")]
    rest = np.concatenate([rig.rest, rig.rest[parents]])
    rest[len(rig.bones) :, 2, 3] -= 0.05
    wide = dataclasses.replace(
        rig,
        bones=rig.bones + tuple(more),
        parents=rig.parents + tuple(parents),
        rest=rest,
        tails=np.concatenate([rig.tails, rest[len(rig.bones) :, :3, 3] + [0, 0, 0.02]]),
        deform=(True,) * (len(rig.bones) + len(more)),
    )
    assert roles.guess(wide).bones == expected


def test_optional_roles_are_found_beside_a_familys_names() -> None:
    """The family knows no Toe1 and no Palm, and the collar bone has a name of no language: hierarchy tells."""
    names = {role: role for role in _TRUNK} | {"pelvis": "hips"}
    for side, word in (("L", "Left"), ("R", "Right")):
        known = {"upper_arm": "Arm", "forearm": "ForeArm", "thigh": "UpLeg", "shin": "Leg", "foot": "Foot"}
        names |= {f"{part}.{side}": f"Ethan{word}{name}" for part, name in known.items()}
        names |= {f"toe.{side}": f"Ethan{word}Toe1", f"hand.{side}": f"Ethan{word}Palm"}
        names |= {f"shoulder.{side}": f"Ethan{word}Xyz"}
    names |= {role: f"Ethan{name.capitalize()}" for role, name in names.items() if role in _TRUNK}
    found = roles.guess(figure(name=names.__getitem__))
    assert found.family
    assert found.bones == {role: bone for role, bone in names.items() if role in roles.ROLES}
    assert found.certain["toe.L"] and found.certain["hand.R"]
    assert not found.certain["shoulder.L"] and not found.certain["shoulder.R"]
