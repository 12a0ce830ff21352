# SPDX-License-Identifier: GPL-3.0-or-later
"""Bone names read word by word: a word of the body, in the languages people rig in, and a style of side.

The words are in body_words.json. A word like "arm" may mean the upper arm or the whole arm: then its position in
the limb's chain tells.
"""

from __future__ import annotations

import dataclasses
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .rig import Rig

_TRUNK = ("pelvis", "spine", "chest", "neck", "head")
_GROUPS = (("shoulder", "upper_arm", "forearm", "hand"), ("thigh", "shin", "foot", "toe"), _TRUNK)
SURE = 0.68  # a word that weighs as much names its part beyond doubt
_PLAIN = ("en", "zh-ja")  # sides that are clear without any other word
_FEWEST_NUMBERED = 3  # names of a side and a number alone on each side
_UNKNOWN_WORD = 0.03  # what each further word in a name takes away: "hand armour" is less a hand than "hand"
_MOST_UNKNOWN = 4

# What a word of the body may mean, and how likely. Words of joints name the part that begins there.
_MEANINGS: dict[str, dict[str, float]] = {
    "collar": {"shoulder": 1.0}, "shoulder": {"shoulder": 0.8, "upper_arm": 0.65}, "upper_arm": {"upper_arm": 1.0},
    "arm": {"upper_arm": 0.6, "forearm": 0.4, "shoulder": 0.2, "hand": 0.1},
    "forearm": {"forearm": 1.0}, "elbow": {"forearm": 0.9}, "hand": {"hand": 1.0},
    "hip": {"thigh": 0.8, "pelvis": 0.8}, "thigh": {"thigh": 1.0},
    "leg": {"thigh": 0.6, "shin": 0.55, "foot": 0.1, "toe": 0.05},
    "foot_or_leg": {"thigh": 0.6, "shin": 0.5, "foot": 0.55},
    "knee": {"shin": 0.9}, "shin": {"shin": 1.0}, "foot": {"foot": 1.0, "toe": 0.1}, "toe": {"toe": 1.0},
    "pelvis": {"pelvis": 1.0, "thigh": 0.5}, "waist": {"spine": 0.6, "pelvis": 0.55},
    "spine": {"spine": 1.0}, "chest": {"chest": 1.0, "spine": 0.3}, "body": {},
    "neck": {"neck": 1.0}, "head": {"head": 1.0},
}  # fmt: skip
# With a word for upper or lower; "upper body" is the chest.
_UPPER = {"arm": "upper_arm", "leg": "thigh", "foot_or_leg": "thigh", "body": "chest", "spine": "chest"}
_LOWER = {"arm": "forearm", "leg": "shin", "foot_or_leg": "shin", "body": "pelvis"}
_CJK = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_FOLDED = str.maketrans({"ł": "l", "ø": "o", "æ": "ae", "đ": "d", "ı": "i", "œ": "oe"})


@dataclasses.dataclass(frozen=True)
class Reading:
    """bones: role -> bone. sure: roles whose word leaves no doubt about the part."""

    bones: dict[str, str]
    sure: frozenset[str]


@dataclasses.dataclass(frozen=True)
class _Words:
    """One language's words of the body, with English ones: word -> what it may be about."""

    parts: Mapping[str, frozenset[str]]
    known: frozenset[str]


@dataclasses.dataclass(frozen=True)
class _Name:
    """A bone's name as words. sides: language -> "L" or "R" as its words of side have it."""

    bone: int
    words: tuple[str, ...]
    digits: str
    sides: Mapping[str, str]


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(Path(__file__).with_name("body_words.json").read_text(encoding="utf-8"))
    return data


@cache
def _set(key: str) -> frozenset[str]:
    return frozenset(fold(word) for word in _data()[key].split())


@cache
def _languages() -> tuple[str, ...]:
    return tuple(dict.fromkeys(language for part in _data()["parts"].values() for language in part))


@cache
def _side_words() -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """language -> its words for left and for right."""
    return {
        language: (frozenset(fold(left).split()), frozenset(fold(right).split()))
        for language, (left, right) in _data()["sides"].items()
    }


@cache
def _words(language: str) -> _Words:
    parts: dict[str, set[str]] = {"body": {"body"}}
    for part, by_language in _data()["parts"].items():
        for word in f"{by_language.get('en', '')} {by_language.get(language, '')}".split():
            parts.setdefault(fold(word), set()).add(part)
    sides = frozenset(word for pair in _side_words().values() for words in pair for word in words)
    known = frozenset(parts) | sides | _set("upper") | _set("lower") | _set("filler") | _set("not_body")
    return _Words({word: frozenset(found) for word, found in parts.items()}, known)


@cache
def _all_known() -> frozenset[str]:
    return frozenset().union(*(_words(language).known for language in _languages()))


def fold(text: str) -> str:
    """Lower case without accents: "Épaule" and "epaule" are one word."""
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFC", "".join(c for c in apart if not unicodedata.combining(c))).translate(_FOLDED)


def sides(rig: Rig) -> dict[str, str]:
    """bone -> "L" or "R" where its name tells the side, whatever else it says."""
    return {rig.bones[name.bone]: side for name, side in _sided(_names(rig))}


def read(rig: Rig, like: Mapping[str, str] | None = None) -> Reading:
    """The roles that the names' words tell, in the language that tells most.

    like: role -> bone that the skeleton's structure suggests, which decides between equal words.
    """
    sided = _sided(_names(rig))
    readings = (_read(rig, sided, _words(language), like or {}) for language in _languages())
    return max(readings, key=lambda found: found[0])[1]


# Names as words


def _names(rig: Rig) -> list[_Name]:
    split = [_split(re.split(r"[:|]", name)[-1] or name) for name in rig.bones]
    every = {word for words in split for word in words}
    split = [tuple(part for word in words for part in _parts(word, every)) for words in split]
    languages = _side_words()
    names = []
    for i, words in enumerate(split):
        sides_ = {key: side for key, pair in languages.items() if (side := _side(words, pair))}
        names.append(_Name(i, words, re.sub(r"\D", "", rig.bones[i]), sides_))
    return names


def _side(words: Iterable[str], pair: tuple[frozenset[str], frozenset[str]]) -> str:
    return next(("L" if word in pair[0] else "R" for word in words if word in pair[0] or word in pair[1]), "")


def _split(name: str) -> tuple[str, ...]:
    """Words between separators, digits, changes of case and of script, in lower case."""
    spaced = ""
    for i, c in enumerate(name):
        before, after = name[i - 1] if i else " ", name[i + 1] if i + 1 < len(name) else " "
        camel = c.isupper() and (before.islower() or (before.isupper() and after.islower()))
        script = before.isalpha() and c.isalpha() and bool(_CJK.match(before)) != bool(_CJK.match(c))
        spaced += (" " if camel or script else "") + (c if c.isalpha() or unicodedata.combining(c) else " ")
    return tuple(fold(spaced).split())


def _parts(word: str, every: set[str]) -> list[str]:
    """A word's parts where it is written together: "oberarmlinks", "左上臂", and "larm" beside "rarm"."""
    known = _all_known()
    if word in known:
        return [word]
    if _CJK.search(word):
        return _longest_first(word, known)
    if (whole := _cut(word, known)) is not None:
        return whole
    for letter, other in (("l", "r"), ("r", "l")):
        for rest, twin in ((word[1:], other + word[1:]), (word[:-1], word[:-1] + other)):
            at_end = rest == word[:-1]
            if (word[-1] if at_end else word[0]) != letter or twin not in every:
                continue
            if (inner := [rest] if rest in known else _cut(rest, known)) is not None and len(rest) >= 3:
                return [*inner, letter] if at_end else [letter, *inner]
    return [word]


def _longest_first(word: str, known: frozenset[str]) -> list[str]:
    """Known words of a text without blanks, the longest at each place; letters that are in none are left out."""
    found, at = [], 0
    while at < len(word):
        end = next((end for end in range(len(word), at, -1) if word[at:end] in known), at)
        if end > at:
            found.append(word[at:end])
        at = max(end, at + 1)
    return found or [word]


def _cut(word: str, known: frozenset[str]) -> list[str] | None:
    """A word as two or three known ones of three letters and more; None where it is none such."""
    for end in range(len(word) - 3, 2, -1):
        if word[:end] in known:
            rest = [word[end:]] if word[end:] in known else _cut(word[end:], known)
            if rest is not None:
                return [word[:end], *rest]
    return None


def _sided(names: list[_Name]) -> list[tuple[_Name, str]]:
    """Each name with its side, "" without one: in the language whose words pair most names with their mirror image.

    The same letter is left in one language and right in another: D is droite, destra, derecha, direita.
    """
    counts = {key: _twins(names, key, pair) for key, pair in _side_words().items()}
    if any({"left", "right"} & set(name.words) for name in names):
        counts["en"] += 1
    order = sorted((key for key, count in counts.items() if count), key=lambda key: -counts[key])
    return [(name, next((name.sides[key] for key in order if key in name.sides), "")) for name in names]


def _twins(names: list[_Name], key: str, pair: tuple[frozenset[str], frozenset[str]]) -> int:
    """How many names have one like them but for the side.

    Outside _PLAIN languages their numbers must be alike, too: letters of meaningless names are no sides.
    """
    both = pair[0] | pair[1]
    bare: dict[str, list[tuple[str, ...]]] = {"L": [], "R": []}
    for name in names:
        if key in name.sides:
            words = tuple(word for word in name.words if word not in both)
            bare[name.sides[key]].append(words if key in _PLAIN or not words else (*words, name.digits))
    count = len({words for words in bare["L"] if words} & {words for words in bare["R"] if words})
    numbered = bare["L"].count(()) == bare["R"].count(()) >= _FEWEST_NUMBERED
    return max(count, int(numbered and key in _PLAIN))


# Words as parts


def _read(rig: Rig, sided: list[tuple[_Name, str]], words: _Words, like: Mapping[str, str]) -> tuple[float, Reading]:
    """The roles in one language, and how much it tells."""
    weights: dict[tuple[str, int], dict[int, dict[str, float]]] = {}
    for name, side in sided:
        for part, weight in _meanings(name.words, words).items():
            group = next(i for i, parts in enumerate(_GROUPS) if part in parts)
            if (_GROUPS[group] is _TRUNK) == (side == ""):
                weights.setdefault((side, group), {}).setdefault(name.bone, {})[part] = weight
    bones: dict[str, int] = {}
    sure: set[str] = set()
    total = 0.0
    for side, group in sorted(weights, reverse=True):  # the trunk last
        found = weights[side, group]
        if side == "":
            # what carries the legs is no chest
            legs = [bones[thigh] for thigh in ("thigh.L", "thigh.R") if thigh in bones]
            carriers = set(rig.ancestors(rig.common_ancestor(*legs))) if len(legs) == 2 else set()
            found = {
                bone: {part: weight for part, weight in parts.items() if part == "pelvis" or bone not in carriers}
                for bone, parts in found.items()
                if bone not in bones.values()
            }
        chosen = _along_a_chain(rig, found, _GROUPS[group], side, like)
        for part, (bone, weight) in chosen.items():
            role = f"{part}.{side}" if side else part
            bones[role] = bone
            total += weight
            if weight >= SURE or (side and _has_sure_neighbour(part, _GROUPS[group], chosen)):
                sure.add(role)
    return total, Reading({role: rig.bones[bone] for role, bone in bones.items()}, frozenset(sure))


def _has_sure_neighbour(part: str, limb: tuple[str, ...], chosen: Mapping[str, tuple[int, float]]) -> bool:
    """Whether the part before or after one is named beyond doubt: "arm" above "forearm" is the upper arm."""
    i = limb.index(part)
    beside = [chosen[other][1] for other in limb[max(i - 1, 0) : i + 2] if other in chosen and other != part]
    return any(weight >= SURE for weight in beside)


def _meanings(name: tuple[str, ...], words: _Words) -> dict[str, float]:
    """part -> how likely a name means it; nothing for control and helper bones, fingers, hair and cloth."""
    about: set[str] = set()
    unknown, i = 0, 0
    while i < len(name):
        two = "".join(name[i : i + 2])
        step = 2 if i + 1 < len(name) and two in words.parts else 1
        word = two if step == 2 else name[i]
        if word in _set("not_body") and word not in words.parts:
            return {}
        about |= words.parts.get(word, frozenset())
        unknown += word not in words.known
        i += step
    upper, lower = bool(_set("upper") & set(name)), bool(_set("lower") & set(name))
    turned = {_UPPER[word] for word in about if upper and word in _UPPER}
    turned |= {_LOWER[word] for word in about if lower and not upper and word in _LOWER}
    less = _UNKNOWN_WORD * min(unknown, _MOST_UNKNOWN)
    if turned:
        return {part: 1.0 - less for part in turned}
    if len(about) > 1:
        about -= {"arm", "leg", "body"}  # "arm elbow": the limb, and the part of it
    found: dict[str, float] = {}
    for word in about:
        for part, weight in _MEANINGS[word].items():
            found[part] = max(found.get(part, 0.0), weight - less)
    return found


def _along_a_chain(
    rig: Rig, weights: dict[int, dict[str, float]], limb: tuple[str, ...], side: str, like: Mapping[str, str]
) -> dict[str, tuple[int, float]]:
    """part -> bone and its weight: the parts in their order down one chain of bones that fit their names best.

    A sure word elsewhere fills a gap: feet may hang on the root.
    """
    best: dict[tuple[int, int], tuple[float, tuple[tuple[int, int], ...]]] = {}
    for bone in sorted(weights):
        above = [b for b in rig.ancestors(bone)[1:] if b in weights]
        for i, part in enumerate(limb):
            if part not in weights[bone]:
                continue
            before = [best[b, k] for b in above for k in range(i) if (b, k) in best]
            score, line = max(before, key=lambda found: found[0], default=(0.0, ()))
            bonus = 0.15 if like.get(f"{part}.{side}" if side else part) == rig.bones[bone] else 0.0
            best[bone, i] = score + weights[bone][part] + bonus, (*line, (bone, i))
    line = max(best.values(), key=lambda found: found[0], default=(0.0, ()))[1]
    chosen = {limb[i]: (bone, weights[bone][limb[i]]) for bone, i in line}
    taken = {bone for bone, _ in line}
    for part in limb:
        sure = [bone for bone in sorted(weights) if weights[bone].get(part, 0.0) >= SURE and bone not in taken]
        if part not in chosen and sure:
            chosen[part] = (sure[0], weights[sure[0]][part])
            taken.add(sure[0])
    return chosen


def may_be_body(name: str) -> bool:
    """Whether a bone's name does not say that it is a helper, a finger, hair or cloth."""
    return not set(_split(name)) & _set("not_body")


def says(name: str, part: str) -> bool:
    """Whether a bone's name in English leaves no doubt that it is a part of the body."""
    return _meanings(_split(name), _words("en")).get(part, 0.0) >= SURE
