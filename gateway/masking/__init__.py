"""Personal data in rows, treated column by column before anything leaves; ``mask.py`` is the way in."""
