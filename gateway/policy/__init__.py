"""Sharing rules: one YAML document a dataset is loaded, or refused whole, and requests are judged by it.

``load.py`` is the only way in for a document, ``decide.py`` the only maker of Permit and Refusal.
"""
