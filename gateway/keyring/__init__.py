"""The installation's private keys, as handles: they sign and seal, and never leave.

The public half of what signs is published (``TokenSigner.jwks``, ``NoteSigner.vkey``). A key that was
replaced, or is being, lies beside the newest (``dated.py``, ``log_keys.py``). The pseudonyms' key may be
divided between two custodians; then it is in memory alone (``custody.py``).
"""
