# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of the video that a reference is made from, and of what came of it."""

from __future__ import annotations

from typing import Annotated

import bpy
from bpy.props import BoolProperty, FloatProperty, IntProperty, StringProperty


class BackflipVideo(bpy.types.PropertyGroup):
    """A video to learn from: which part of it, and who is in it."""

    path: Annotated[
        str,
        StringProperty(
            name="Video",
            description="Video that shows the stunt: one person from head to toe, by a camera that stays in place",
            subtype="FILE_PATH",
            options={"PATH_SUPPORTS_BLEND_RELATIVE"},
        ),
    ]
    start: Annotated[
        float,
        FloatProperty(
            name="From", description="Time in the video to begin at", min=0.0, precision=2, unit="TIME_ABSOLUTE"
        ),
    ]
    end: Annotated[
        float,
        FloatProperty(
            name="To",
            description="Time in the video to end at; 0 for its end, or half a minute on",
            min=0.0,
            precision=2,
            unit="TIME_ABSOLUTE",
        ),
    ]
    height: Annotated[
        float,
        FloatProperty(
            name="Height",
            description="How tall the person in the video is",
            default=1.7,
            min=0.5,
            max=2.6,
            precision=3,
            unit="LENGTH",
        ),
    ]
    speed: Annotated[
        float,
        FloatProperty(
            name="Slow Motion",
            description="How many times slower than life the video plays; 8 for 240 pictures a second played at 30",
            default=1.0,
            min=0.1,
            max=100.0,
            precision=2,
        ),
    ]
    use_box: Annotated[
        bool,
        BoolProperty(
            name="Person Box",
            description="Look at part of the picture only: all of the person's path, with nobody else in it",
        ),
    ]
    left: Annotated[
        float,
        FloatProperty(name="Left", description="Left side of the box, as a share of the picture", min=0.0, max=1.0),
    ]
    right: Annotated[
        float,
        FloatProperty(
            name="Right", description="Right side of the box, as a share of the picture", default=1.0, min=0.0, max=1.0
        ),
    ]
    top: Annotated[
        float,
        FloatProperty(
            name="Top",
            description="Upper side of the box, as a share of the picture from its upper side",
            max=1.0,
            min=0.0,
        ),
    ]
    bottom: Annotated[
        float,
        FloatProperty(
            name="Bottom",
            description="Lower side of the box, as a share of the picture from its upper side",
            default=1.0,
            min=0.0,
            max=1.0,
        ),
    ]
    use_camera: Annotated[
        bool,
        BoolProperty(
            name="Camera with Footage",
            description="Add a camera where the video's stood, with the video as its background",
            default=True,
        ),
    ]

    show_strip: Annotated[
        bool,
        BoolProperty(
            name="Show Confidence",
            description="Show over time how well each part of the body can be seen in the video",
            default=True,
        ),
    ]

    show_landmarks: Annotated[
        bool,
        BoolProperty(
            name="Show Landmarks",
            description="Show the skeleton that was found, over the picture, in a view through the camera",
            default=True,
        ),
    ]

    keep_best: Annotated[
        bool,
        BoolProperty(
            name="Keep the Best",
            description="The video shows the same stunt as the ones before: of all of them the motion that is surest "
            "by itself becomes the reference",
        ),
    ]

    together: Annotated[
        bool,
        BoolProperty(
            name="Same Performance",
            description="The other video shows the very same performance from another side, at the same time. "
            "Both are fitted together: what one of them shows badly, the other one tells",
        ),
    ]
    use_delay: Annotated[
        bool,
        BoolProperty(
            name="Known Delay",
            description="Set how much later this video began than the other one; otherwise it is found from the motion",
        ),
    ]
    delay: Annotated[
        float,
        FloatProperty(
            name="Began Later By",
            description="How much later this video began than the other one; negative for earlier",
            min=-36000.0,
            max=36000.0,
            precision=3,
            unit="TIME_ABSOLUTE",
        ),
    ]
    use_floor: Annotated[
        bool,
        BoolProperty(
            name="Floor Line",
            description="Set where the floor under the person is in the picture; otherwise it is found from what rests",
        ),
    ]
    floor: Annotated[
        float,
        FloatProperty(
            name="Floor",
            description="Height of the floor under the person, as a share of the picture from its upper side",
            default=0.9,
            min=0.0,
            max=1.0,
        ),
    ]

    # What came of it
    floor_frame: Annotated[int, IntProperty(options={"HIDDEN"})]  # of the video, from 0, in which the floor line is so
    struck: Annotated[str, StringProperty(options={"HIDDEN"})]  # JSON: the video's frames that are left out, from 0
    corrected: Annotated[str, StringProperty(options={"HIDDEN"})]  # JSON: [frame of the video, landmark, x, y], each
    made_with: Annotated[str, StringProperty(options={"HIDDEN"})]  # what was struck and corrected for the result
    frames: Annotated[int, IntProperty(options={"HIDDEN"})]
    rate: Annotated[float, FloatProperty(options={"HIDDEN"})]
    problem: Annotated[str, StringProperty(options={"HIDDEN"})]  # why there is no motion, a sentence
    suggested_speed: Annotated[float, FloatProperty(options={"HIDDEN"})]  # 0 for none
    result: Annotated[str, StringProperty(options={"HIDDEN"})]  # the motion's file
    tried: Annotated[str, StringProperty(options={"HIDDEN"})]  # JSON: motions of the same stunt, video_result.Tried
    doubts: Annotated[str, StringProperty(options={"HIDDEN"})]  # JSON: what is unsure of it, a list of sentences


CLASSES = (BackflipVideo,)
