# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes made ready to be shown, in a thread of their own that knows nothing of Blender's data."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from ..core import body as bodies
from ..core.arrays import Float32Array
from ..core.body import Body
from ..core.motion import Motion, load_motion, load_take, validate
from ..core.motions.skinning import Skin, skin_moves, solid_moves, solid_skin
from ..core.rigs import binding as bindings
from ..core.rigs.binding import Binding
from ..core.slope import in_the_world
from ..jobs.folder import JobFolder
from ..jobs.json_files import JobError

REFERENCE = ""  # the name under which a job's reference is asked for; no take has it
MOST_TRACKS = 16  # that are kept: a take of 8 s has 1.4 MB


@dataclasses.dataclass(frozen=True)
class Performer:
    """Who performs the takes of a job. solids: the body's shapes as a skin."""

    body: Body
    binding: Binding
    solids: Skin


@dataclasses.dataclass(frozen=True)
class Track:
    """A take as it can be shown. skin, solid (F, L, 4, 3): how links move the rig's skin, or the body's own shapes."""

    name: str
    performer: Performer
    rate: float
    skin: Float32Array
    solid: Float32Array

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return (len(self.skin) - 1) / self.rate

    def frame(self, seconds: float) -> int:
        """The frame that is nearest to a time."""
        return min(max(round(seconds * self.rate), 0), len(self.skin) - 1)


class Tracks:
    """The tracks of a job, loaded as they are asked for."""

    def __init__(self, path: Path) -> None:
        self.folder = JobFolder(path)
        self._kept: OrderedDict[str, Future[Track]] = OrderedDict()
        self._performer: Performer | None = None
        self._thread = ThreadPoolExecutor(1, "backflip-takes")

    def get(self, name: str, wait: bool = False) -> Track | None:
        """A take by its file's name, or the reference; None while it is being loaded. Raises JobError."""
        if name not in self._kept:
            self._kept[name] = self._thread.submit(self._load, name)
            while len(self._kept) > MOST_TRACKS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(name)
        future = self._kept[name]
        return future.result() if wait or future.done() else None

    def forget(self, name: str) -> None:
        """Load a take anew when it is asked for again: its file may be another one."""
        self._kept.pop(name, None)

    def close(self) -> None:
        """Load nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _load(self, name: str) -> Track:
        try:
            performer = self._performer or _performer_of(self.folder)
            self._performer = performer
            motion = self._motion(name)
            validate(motion, len(performer.body.links))
        except (OSError, ValueError) as error:
            words = str(getattr(error, "strerror", None) or error).rstrip(".")
            raise JobError(f"{name or 'The reference'} cannot be shown: {words}.") from error
        moves = skin_moves(performer.binding, motion), solid_moves(performer.body, performer.binding, motion)
        return Track(name, performer, motion.rate, *moves)

    def _motion(self, name: str) -> Motion:
        if name == REFERENCE:
            return load_motion(self.folder.reference_file)
        return in_the_world(load_take(self.folder.takes / name))


def _performer_of(folder: JobFolder) -> Performer:
    job = folder.read_job()
    body = bodies.from_json(dict(job.body))
    return Performer(body, bindings.from_json(dict(job.binding)), solid_skin(body))
