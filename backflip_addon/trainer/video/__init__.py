# SPDX-License-Identifier: GPL-3.0-or-later
"""The teacher: a person's motion out of the frames of a video."""
