"""The append-only store: entries, budgets, single-use ids, stored answers, registry.

``port.py`` says what a ledger promises, ``sqlite.py`` keeps it on one machine, ``audit.py`` checks it
from outside with nothing but the file and the public key. ``volatile.py`` is no ledger: what it holds
may be forgotten at a restart.
"""
