"""Who is asking: tokens, proofs, assertions, factors. All verification is pure.

Read ``request.py`` first (the order of checks), then ``strict.py`` (what is read at all). Keys, time
and secrets are arguments; what must be used up once is returned as ``single_use_id`` for the caller
to store. Every refusal is ``NotAuthenticated`` or one of its kinds; its ``cause`` is for the ledger.
"""
