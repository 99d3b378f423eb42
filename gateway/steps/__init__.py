"""The eight steps of ``gateway/flow.py``, one file each: pure rooms below, their effects here.

Each step is a small frozen class that holds its ports; calling it does the step. ``respond`` is
the web room's. Nothing here chooses an implementation (``wiring.py`` does) or knows HTTP.
"""
