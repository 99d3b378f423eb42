"""Whom a firm trusts to be the gateway, and the certificate it shows where the gateway asks for one."""

import ssl
from pathlib import Path

from gateway.client.failures import ProfileInvalid


def tls_context(
    *, ca: Path | None, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Return a context that trusts those in ``ca`` alone, or the system's, and shows ``certificate``.

    Raises:
        ProfileInvalid: A file cannot be used.

    """
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise ProfileInvalid(f"`{ca}` cannot be used: it is to hold certificates in PEM") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is None:
        return context
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")  # else it would ask at the terminal
    except (OSError, ssl.SSLError) as error:
        raise ProfileInvalid(
            f"the certificate `{certificate}` with the key `{key}` cannot be used: "
            "both are PEM, belong together, and the key is not encrypted"
        ) from error
    return context
