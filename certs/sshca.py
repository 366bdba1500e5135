"""The gateway's SSH certificate authority: its key, and user certificates for the SFTP door.

What this is not: a register of what it issued (the certificate's serial number and its person are what is revoked), nor
the judge of a certificate; that is the door. It needs no gateway: the key belongs on another machine.

The rules a change must keep:
1. A certificate names one institution to sign in as, one person, what it may do, and when it ends: 90 days at the most.
2. It grants nothing else: no terminal, no forwarding. The door would refuse them as well.
3. Subjects are keys of the closed list (Ed25519, ECDSA P-256 and P-384, and those of security keys), given as a public line;
   the private half is never asked for.

Source: OpenSSH PROTOCOL.certkeys. Written here since `cryptography` certifies no security keys and asyncssh writes no
extensions of one's own; `ssh-keygen -L` and both libraries read the result in the tests.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from certs.keyfiles import KeyFiles
from certs.profiles import CLOCK_SKEW
from certs.sshkeys import make_ssh_key
from gateway.core.errors import Unusable
from gateway.core.identity import CERTIFICATE_LIFE, CERTIFICATE_SCOPES, SENDER_SCOPES
from gateway.core.names import parse_identifier
from gateway.wire import sshcert, sshsig

# Of 19 or 20 digits: one of 18 looks like a resident identity number and would be masked in logs.
_LEAST_SERIAL: Final = 10**18


@dataclass(frozen=True)
class UserCertificate:
    """A certificate that was issued.

    Attributes:
        line: One line as OpenSSH keeps it in `<key>-cert.pub`.
        serial: By which it can be revoked.
        valid_from: Its first second.
        valid_to: The second it ends before.
    """

    line: bytes
    serial: int
    valid_from: datetime
    valid_to: datetime


def make_ssh_ca(folder: Path, name: str) -> KeyFiles:
    """A fresh Ed25519 key pair for an SSH CA; the door is told the public half (`sftp.user_ca`).

    Raises:
        Conflict: One of the files exists.
        Unusable: The folder is open to others, or the name is no plain file name.
    """
    return make_ssh_key(folder, name, "hetao SSH user CA")


def issue_user_certificate(
    authority: Ed25519PrivateKey | ec.EllipticCurvePrivateKey,
    public_line: str,
    *,
    institution: str,
    person: str,
    scopes: Sequence[str],
    now: datetime,
    validity: timedelta,
    source_addresses: Sequence[str] = (),
) -> UserCertificate:
    """A user certificate with a random serial number.

    Args:
        authority: The CA's private key.
        public_line: The person's key as one OpenSSH public line; its comment goes into the certificate's line.
        institution: The only principal, which is the login name.
        person: Identifier of the registered person; the key id.
        scopes: What it may do, of `SENDER_SCOPES`; at least one.
        now: The current instant, aware.
        validity: How long it holds; 90 days at the most.
        source_addresses: Networks it may be used from (CIDR); none means anywhere.

    Raises:
        Unusable: Any of these is not as said.
    """
    if now.tzinfo is None:
        raise ValueError("now must be aware: a naive time would be taken for the machine's zone")
    subject, comment = _subject(public_line)
    if subject == sshsig.blob_of(authority):
        raise Unusable("this is the authority's own key: certify a person's", code="bad-certificate-key")
    if not timedelta() < validity <= CERTIFICATE_LIFE:
        raise Unusable(f"a certificate holds for at most {CERTIFICATE_LIFE.days} days", code="bad-certificate-life")
    if not scopes or set(scopes) - set(SENDER_SCOPES):
        raise Unusable(f"scopes are one or more of {', '.join(SENDER_SCOPES)}", code="bad-certificate-scope")
    valid_from, valid_to = (each.replace(microsecond=0) for each in (now - CLOCK_SKEW, now + validity))
    certificate = sshcert.Certificate(
        subject=subject,
        serial=_LEAST_SERIAL + secrets.randbelow((1 << 64) - _LEAST_SERIAL),
        key_id=parse_identifier(person, "person"),
        principals=(parse_identifier(institution, "institution"),),
        valid_from=int(valid_from.timestamp()),
        valid_to=int(valid_to.timestamp()),
        authority=sshsig.blob_of(authority),
        critical=_source_address(source_addresses),
        extensions={CERTIFICATE_SCOPES: sshcert.option_data(",".join(sorted(set(scopes))))},
    )
    blob = sshcert.issue(certificate, secrets.token_bytes(sshcert.NONCE_BYTES), authority)
    words = [sshcert.type_name(blob), base64.b64encode(blob).decode("ascii"), *comment]
    return UserCertificate((" ".join(words) + "\n").encode(), certificate.serial, valid_from, valid_to)


def _subject(public_line: str) -> tuple[sshsig.PublicKeyBlob, list[str]]:
    """The key of a public line, and its comment."""
    line = public_line.strip()
    try:
        blob = sshsig.public_blob(line)
    except ValueError as wrong:
        raise Unusable(f"this is no OpenSSH public key that is taken: {wrong}", code="bad-certificate-key") from wrong
    if not line.isprintable():
        raise Unusable("a public key is one line", code="bad-certificate-key")
    return blob, line.split(maxsplit=2)[2:]


def _source_address(networks: Sequence[str]) -> dict[str, bytes]:
    try:
        listed = ",".join(str(ip_network(each)) for each in networks)
    except ValueError as wrong:
        raise Unusable(f"a source address is a network such as 192.0.2.0/24: {wrong}", code="bad-address") from wrong
    return {"source-address": sshcert.option_data(listed)} if listed else {}
