"""The installation's private keys, as handles: they sign and seal, and never leave.

The public half of what signs is published (``TokenSigner.jwks``, ``NoteSigner.vkey``). Rotation is not
here yet: an installation has one key of each kind.
"""
