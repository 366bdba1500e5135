"""TLS for the door: 1.3 unless an operator asks for 1.2 as well, and nothing older or weaker in any case.

A change must keep these:
1. With 1.2, only suites with forward secrecy and AEAD (RFC 9325 section 4.2); no renegotiation, no compression.
2. A private key others can read is refused, not warned about.
3. A client certificate is asked for in the handshake, or not at all: never later (no renegotiation, no post-handshake request).
   It may be left out. One that is shown must be signed by the bundle, be a client's, and hold, or there is no connection.
4. No session is resumed, no early data is taken: a ticket would carry a client's proof past the end of its certificate, and
   early data can be replayed (RFC 8446 section 8). Clients here keep connections; a handshake each costs less than a chunk.

Sources: RFC 8446, RFC 9325, RFC 5280.
"""

from __future__ import annotations

import ssl
import stat
from pathlib import Path
from typing import Final

from gateway.core.errors import Unusable

MINIMUM: Final = {"1.3": ssl.TLSVersion.TLSv1_3, "1.2": ssl.TLSVersion.TLSv1_2}
SUITES: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def server_context(
    certificate: Path, key: Path, *, minimum: str = "1.3", client_ca: Path | None = None
) -> ssl.SSLContext:
    """The context of the HTTPS door.

    Args:
        certificate: The chain, PEM, leaf first.
        key: Its private key, PEM, readable by its owner only.
        minimum: `1.3`, or `1.2`.
        client_ca: The authorities of client certificates, PEM; None asks for no certificates.

    Raises:
        Unusable: Where a file cannot be used, or the version is another.
    """
    if minimum not in MINIMUM:
        raise Unusable(f"TLS begins at {' or '.join(MINIMUM)}", code="bad-settings")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = MINIMUM[minimum]
    context.set_ciphers(SUITES)  # of 1.2; those of 1.3 are all fine
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0  # OP_NO_TICKET alone makes 1.3 send stateful ones
    context.set_alpn_protocols(["http/1.1"])
    try:
        if key.stat().st_mode & _OTHERS:
            raise Unusable(f"others may read {key.name}: chmod 600", code="key-file")
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as wrong:
        reason = wrong.strerror or type(wrong).__name__
        raise Unusable(
            f"{certificate.name} and {key.name} cannot be used for TLS: {reason}", code="key-file"
        ) from wrong
    if client_ca is not None:
        _ask_for_certificates(context, client_ca)
    return context


def _ask_for_certificates(context: ssl.SSLContext, client_ca: Path) -> None:
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        context.load_verify_locations(client_ca)
    except (OSError, ssl.SSLError) as wrong:
        reason = wrong.strerror or type(wrong).__name__
        raise Unusable(f"{client_ca.name} is no bundle of authorities: {reason}", code="key-file") from wrong
