"""What a certificate is for, as a table: the names, dates and extensions each kind gets.

What this is not: a policy for public authorities (CA/Browser Forum); these are certificates of a closed group.
Source: RFC 5280 section 4.2, RFC 9525 (names of servers).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.core.errors import Unusable


@dataclass(frozen=True)
class Profile:
    """One kind of certificate.

    Attributes:
        name: How messages call it.
        usages: Extended key usages, exactly these.
        validity: How long it is valid.
        needs_names: Whether it must have at least one DNS name or IP address.
    """

    name: str
    usages: tuple[x509.ObjectIdentifier, ...]
    validity: timedelta
    needs_names: bool


SERVER = Profile("server", (ExtendedKeyUsageOID.SERVER_AUTH,), timedelta(days=90), needs_names=True)
CLIENT = Profile("client", (ExtendedKeyUsageOID.CLIENT_AUTH,), timedelta(days=90), needs_names=False)
# A gateway speaks to a peer in both roles over mutual TLS.
PEER = Profile(
    "peer",
    (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
    timedelta(days=90),
    needs_names=True,
)
AUTHORITY_VALIDITY = timedelta(days=365)
CLOCK_SKEW = timedelta(minutes=5)


def alternative_names(names: Sequence[str]) -> list[x509.GeneralName]:
    """Subject alternative names from DNS names, literal addresses and URIs (`urn:` or `https:`).

    Raises:
        Unusable: A name is none of them.
    """
    return [_general_name(name) for name in names]


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass  # not an address: a URI or a DNS name
    try:
        if ":" in name:
            return x509.UniformResourceIdentifier(name)
        if not name or any(character in name for character in " /@"):
            raise Unusable(f"{name!r} is not a DNS name, an address or a URI", code="bad-certificate-name")
        return x509.DNSName(name)
    except ValueError as broken:
        raise Unusable(
            f"{name!r} is not ASCII: give the A-label (xn--...) of an international name", code="bad-certificate-name"
        ) from broken
