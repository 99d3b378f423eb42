"""The shared scenes, by name."""

from firm_scene import desk
from scene import scene

__all__ = ["desk", "scene"]
