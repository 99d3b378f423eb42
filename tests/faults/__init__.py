"""Faults that decide: processes killed, power lost, disks that fail, clocks that jump, writers that race.

An observer keeps what left the ledger and holds it against what the next start finds (``observer.py``).
"""
