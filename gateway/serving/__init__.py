"""Processes that serve: one that does everything, or one that keeps the ledger and a crew of workers.

``serve.py`` is the process an operator starts; ``crew.py`` keeps its workers alive, ``worker.py`` is one of
them, ``answer.py`` is what both kinds do with a connection.
"""
