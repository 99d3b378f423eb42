"""Proofs that anybody can check offline: Merkle tree, signed notes, checkpoints, receipts.

Pure: bytes in, facts out; no store, no clock, no randomness. The formats are the C2SP family's
(tlog-tiles, tlog-checkpoint, signed-note, tlog-proof) over RFC 6962 hashes, so that software
nobody here wrote reaches the same verdict. The ledger makes the proofs, firms and auditors check them.
"""
