# SPDX-License-Identifier: GPL-3.0-or-later
"""Walks through a real Blender with a window, by mouse and keys, on a virtual display."""
