"""Frozen types that cross rooms, one subject a file; they hold data and decide nothing.

Each type that grants something has one owning room that constructs it (a test enforces it):
Caller: identity. Permit and Refusal: policy. Plans: planning. Charge and Receipt: ledger.
"""
