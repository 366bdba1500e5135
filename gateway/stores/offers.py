"""What this gateway offers of the technical controls a profile may need (`core/profile.py`), and why it does not offer the rest.

What it is not: a promise about commercial cryptography. TLCP needs two certificates and suites that the system's OpenSSL
lacks, and Crypt4GH knows one cipher; a gateway under that profile denies (T1) until a library that can is built in.

A change must keep these:
1. An offer is kept only where this process shows it now: by its settings, or by asking the library.
2. A reason names what would have to be there.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping

from gateway.core.profile import Offer, Profile

SM_SUITES = frozenset({"TLS_SM4_GCM_SM3", "TLS_SM4_CCM_SM3"})
"""RFC 8998 section 2, in OpenSSL's names."""


def offers(minimum_tls: str) -> Mapping[str, Offer]:
    """Every control this program knows.

    Args:
        minimum_tls: Oldest version the HTTPS door speaks.
    """
    sm3 = "sm3" in hashlib.algorithms_available
    return {
        "tls-1.3": Offer(minimum_tls == "1.3", f"https.minimum_tls is {minimum_tls}: set it to 1.3"),
        "crypt4gh": Offer(kept=True, says="every payload is sealed as it arrives"),
        "ledger": Offer(kept=True, says="every fact is recorded; that it is whole is checked at each decision"),
        "sm-tls": _sm_tls(),
        "sm2-signatures": Offer(kept=False, says="clearances, manifests and receipts are signed with Ed25519, not SM2"),
        "sm3-ledger": Offer(
            kept=False,
            says=f"the ledger's tree is RFC 6962 over SHA-256; {ssl.OPENSSL_VERSION} {'has' if sm3 else 'lacks'} SM3",
        ),
        "sm4-payload": Offer(kept=False, says="Crypt4GH 1.0 knows ChaCha20-Poly1305 only, not SM4"),
    }


def missing_controls(profiles: Mapping[str, Profile], name: str, minimum_tls: str) -> tuple[str, ...]:
    """What of a profile this gateway does not keep, each with the reason; empty where it keeps all.

    Args:
        profiles: Of the rule pack.
        name: The setting `controls.profile`.
        minimum_tls: Oldest version the HTTPS door speaks.
    """
    if name not in profiles:
        return (f"{name}: the rule pack has no such profile in profiles.toml",)
    return profiles[name].missing(offers(minimum_tls))


def _sm_tls() -> Offer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    known = {suite["name"] for suite in context.get_ciphers()}
    if found := sorted(known & SM_SUITES):
        return Offer(
            kept=False, says=f"{ssl.OPENSSL_VERSION} has {', '.join(found)}, but the doors do not ask for it yet"
        )
    return Offer(
        kept=False,
        says=f"{ssl.OPENSSL_VERSION} has neither the suites of RFC 8998 (TLS_SM4_GCM_SM3) nor TLCP (GB/T 38636)",
    )
