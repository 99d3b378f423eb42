"""Protected content becomes the bytes of a reply; ``formats.py`` is the way in."""
