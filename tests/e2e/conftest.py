"""The one shared scene, by name."""

from scene import scene

__all__ = ["scene"]
