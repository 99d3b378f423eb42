"""Organisations, agreements, clients, operators and activations, and what they allow together.

Pure: records and snapshots of them are values; the ledger stores them, ``now`` is an argument.
Order to read: ``records.py`` (what there is), ``registry.py`` (the checked chain), ``codec.py`` (bytes).
"""
