"""Which authorities may certify clients, and the list of certificates they took back, read again whenever it changes.

What it is not: the check of a chain; OpenSSL does that in the handshake. It asks no server (no OCSP): the list is a file.

A change must keep these:
1. Where a list is configured, a certificate counts only while a list of its issuer's holds: signed by it, begun, not run out.
   What cannot be read or relied on is our fault and refuses everybody (StoreError), it lets nobody in.
2. It is asked at every request, not only in the handshake: a certificate taken back ends on connections that are open.
3. A critical extension nobody here knows makes a list useless (RFC 5280 section 5.2).

Source: RFC 5280 section 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from gateway.core.errors import StoreError, Unusable
from gateway.ports import Clock

MAX_LIST: Final = 16 << 20  # bytes; about 400,000 certificates
_PEM_END: Final = b"-----END X509 CRL-----"

Stamp = tuple[int, int, int]


def load_bundle(path: Path) -> tuple[x509.Certificate, ...]:
    """The authorities of a PEM file.

    Raises:
        Unusable: It cannot be read, is empty, or holds a certificate that is no authority's.
    """
    try:
        found = tuple(x509.load_pem_x509_certificates(path.read_bytes()))
        strangers = [each for each in found if not _is_authority(each)]
    except (OSError, ValueError) as wrong:
        raise Unusable(f"{path.name} is no bundle of certificates ({wrong}): mend https.client_ca") from wrong
    if strangers:
        raise Unusable(
            f"{path.name} holds a certificate that is no authority's: list authorities only in https.client_ca"
        )
    return found


class RevocationLists:
    """The lists of one file.

    Args:
        authorities: Who may sign lists.
        path: PEM or DER; PEM may hold several. None: no list is kept, and only the gateway's own revocations count.
        clock: The time.

    Raises:
        Unusable: The file cannot be used as it is now.
    """

    def __init__(self, authorities: Sequence[x509.Certificate], path: Path | None, clock: Clock) -> None:
        self._authorities = tuple(authorities)
        self._path = path
        self._clock = clock
        self._stamp: Stamp | None = None
        self._lists: dict[x509.Name, x509.CertificateRevocationList] = {}
        try:
            self._refresh()
        except StoreError as wrong:
            raise Unusable(f"{wrong.message}: mend https.client_crl") from wrong

    def has_revoked(self, certificate: x509.Certificate) -> bool:
        """Whether its issuer took a certificate back.

        Raises:
            StoreError: There is no list that says so or otherwise.
        """
        if self._path is None:
            return False
        self._refresh()
        listed = self._lists.get(certificate.issuer)
        if listed is None:
            raise StoreError("no revocation list of this client authority is at hand", retry=False)
        if self._clock.now() >= _runs_out(listed):
            raise StoreError("the list of revoked client certificates has run out: issue the next one", retry=False)
        return listed.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None

    def runs_out(self) -> datetime | None:
        """When the first of the lists runs out; None where no list is kept."""
        self._refresh()
        return min((_runs_out(each) for each in self._lists.values()), default=None)

    def _refresh(self) -> None:
        if self._path is None:
            return
        try:
            about = self._path.stat()
            stamp = (about.st_mtime_ns, about.st_ino, about.st_size)
            if stamp == self._stamp:
                return
            if about.st_size > MAX_LIST:
                raise StoreError(f"{self._path.name} is larger than {MAX_LIST >> 20} MiB", retry=False)
            self._lists = self._read(self._path.read_bytes())
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as wrong:
            self._stamp = None
            raise StoreError(f"{self._path.name} is no list of revoked certificates ({wrong})", retry=False) from wrong
        self._stamp = stamp

    def _read(self, data: bytes) -> dict[x509.Name, x509.CertificateRevocationList]:
        newest: dict[x509.Name, x509.CertificateRevocationList] = {}
        for each in _parse(data):
            self._check(each)
            known = newest.get(each.issuer)
            if known is None or known.last_update_utc < each.last_update_utc:
                newest[each.issuer] = each
        return newest

    def _check(self, listed: x509.CertificateRevocationList) -> None:
        if any(extension.critical for extension in listed.extensions):
            raise ValueError("it has a critical extension, such as of partial lists, that is not known here")
        issuers = [each for each in self._authorities if each.subject == listed.issuer]
        if not any(_signed(listed, each) for each in issuers):
            raise ValueError("none of the authorities in https.client_ca signed it")
        if listed.next_update_utc is None:
            raise ValueError("it does not say when the next one comes")


def _parse(data: bytes) -> list[x509.CertificateRevocationList]:
    if not data.lstrip().startswith(b"-----"):
        return [x509.load_der_x509_crl(data)]
    found = [x509.load_pem_x509_crl(part + _PEM_END) for part in data.split(_PEM_END)[:-1]]
    if not found:
        raise ValueError("it is empty")
    return found


def _runs_out(listed: x509.CertificateRevocationList) -> datetime:
    return listed.next_update_utc or listed.last_update_utc


def _signed(listed: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    key = authority.public_key()
    try:
        return listed.is_signature_valid(key)  # type: ignore[arg-type]  # other kinds of keys raise TypeError
    except TypeError:
        return False


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
