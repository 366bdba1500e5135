"""Who is asking, and what each kind of credential may do through which door.

The rules:
1. A `Principal` is made only by `gateway.identity` from a verified credential; the rest of the code never sees credentials.
2. Every principal names one natural person who answers for it, machine clients too (CSL art 26, plan clause 17 s5).
3. `PERMISSION_DOORS` is the only table of who may do what where. What is not in it is refused.
4. Scopes narrow a credential, they never widen it past the table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum


class Credential(StrEnum):
    """How a principal proved itself."""

    CLIENT_JWT = "client_jwt"  # OAuth 2.0 client credentials with private_key_jwt (RFC 7523), then a bearer token
    BOUND_TOKEN = "bound_token"  # noqa: S105  # the same, of use beside one certificate only (RFC 8705 section 3)
    CLIENT_CERTIFICATE = "client_certificate"  # a registered client's certificate, proved in the TLS handshake
    APP_PASSWORD = "app_password"  # noqa: S105  # a person's generated password, for programs that know Basic only (RFC 7617)
    OFFICER_SIGNATURE = "officer_signature"  # an SSHSIG by a registered officer's key
    SSH_KEY = "ssh_key"  # a registered person's key, proved in the SSH handshake (RFC 4252 section 7)
    SSH_CERTIFICATE = "ssh_certificate"  # a person's key, certified by the gateway's SSH CA, proved in the same way
    OPERATOR_SHELL = "operator_shell"  # whoever may read the gateway's own files on its host


class Door(StrEnum):
    """Where a request comes in."""

    HTTPS = "https"
    SFTP = "sftp"
    PAGE = "page"  # the upload page for people, on a port of its own
    WEBDAV = "webdav"  # folders at the HTTPS door, which tells a caller apart from one of its other pages (`through`)
    CLI = "cli"


class Permission(StrEnum):
    """`<what>:<action>`; scopes in access tokens use the same words."""

    TRANSFERS_OPEN = "transfers:open"
    TRANSFERS_WRITE = "transfers:write"
    TRANSFERS_SUBMIT = "transfers:submit"
    TRANSFERS_WITHDRAW = "transfers:withdraw"
    TRANSFERS_READ = "transfers:read"
    RECEIPTS_READ = "receipts:read"
    REVIEW_READ = "review:read"
    REVIEW_VOTE = "review:vote"
    REGISTRY_PROPOSE = "registry:propose"
    REGISTRY_APPROVE = "registry:approve"
    LEDGER_READ = "ledger:read"
    CREDENTIALS_REVOKE = "credentials:revoke"


_SENDING = frozenset(
    {
        Permission.TRANSFERS_OPEN,
        Permission.TRANSFERS_WRITE,
        Permission.TRANSFERS_SUBMIT,
        Permission.TRANSFERS_WITHDRAW,
        Permission.TRANSFERS_READ,
        Permission.RECEIPTS_READ,
    }
)

PERMISSION_DOORS: dict[tuple[Credential, Door], frozenset[Permission]] = {
    (Credential.CLIENT_JWT, Door.HTTPS): _SENDING,
    (Credential.CLIENT_JWT, Door.WEBDAV): _SENDING,
    (Credential.BOUND_TOKEN, Door.HTTPS): _SENDING,
    (Credential.BOUND_TOKEN, Door.WEBDAV): _SENDING,
    (Credential.CLIENT_CERTIFICATE, Door.HTTPS): _SENDING,
    (Credential.CLIENT_CERTIFICATE, Door.WEBDAV): _SENDING,
    # A password travels with every request and lies in a file or a key store of its user's: folders are all it opens, and
    # a session of the upload page, whose cookie travels in its stead.
    (Credential.APP_PASSWORD, Door.WEBDAV): _SENDING,
    (Credential.APP_PASSWORD, Door.PAGE): _SENDING,
    (Credential.SSH_KEY, Door.SFTP): _SENDING,
    (Credential.SSH_CERTIFICATE, Door.SFTP): _SENDING,
    (Credential.OFFICER_SIGNATURE, Door.CLI): frozenset(
        {Permission.REVIEW_VOTE, Permission.REGISTRY_PROPOSE, Permission.REGISTRY_APPROVE}
    ),
    # The shell reads everything, may withdraw in a sender's name and shut a credential out; it cannot vote: a vote is an
    # officer's signature.
    (Credential.OPERATOR_SHELL, Door.CLI): frozenset(
        {
            Permission.TRANSFERS_READ,
            Permission.TRANSFERS_WITHDRAW,
            Permission.RECEIPTS_READ,
            Permission.REVIEW_READ,
            Permission.LEDGER_READ,
            Permission.CREDENTIALS_REVOKE,
        }
    ),
}

SENDER_SCOPES = tuple(sorted(permission.value for permission in _SENDING))

# What the gateway's SSH CA writes and the SFTP door asks for.
CERTIFICATE_SCOPES = "scopes@hetao"  # the extension that holds scopes, separated by commas
CERTIFICATE_LIFE = timedelta(days=90)  # the longest; what is lost is found out later

# What the gateway's client authority writes into a TLS certificate and the HTTPS door asks for: URIs among its names.
CLIENT_URI = "urn:hetao:client:"
INSTITUTION_URI = "urn:hetao:institution:"
CLIENT_CERTIFICATE_LIFE = timedelta(days=90)
PASSWORD_LIFE = timedelta(days=90)


def certificate_client(serial: int) -> str:
    """The client of a certificate, in the ledger and among the revocations; no registered identifier has a colon."""
    return f"ssh-cert:{serial}"


def holder_client(person: str) -> str:
    """The name under which all certificates of a person are revoked."""
    return f"ssh-certs-of:{person}"


def tls_certificate_client(thumbprint: str) -> str:
    """The name under which one TLS client certificate is revoked; the thumbprint is SHA-256 of its DER form, hex."""
    return f"tls-cert:{thumbprint}"


def password_client(identifier: str) -> str:
    """The client of a registered application password, in the ledger and among the revocations."""
    return f"app-password:{identifier}"


@dataclass(frozen=True)
class Principal:
    """A caller whose credential was verified.

    Attributes:
        institution: Identifier of the legal entity it acts for; empty for the operator's shell.
        person: Identifier of the natural person who answers for it.
        client: Identifier of the machine client, of the key, certificate or password; what the ledger names as actor.
        credential: How it proved itself.
        door: Where it came in.
        scopes: What the credential was narrowed to.
    """

    institution: str
    person: str
    client: str
    credential: Credential
    door: Door
    scopes: frozenset[Permission]

    def through(self, door: Door) -> Principal:
        """The same caller at another door of the same socket: what it may do there, the table says."""
        return replace(self, door=door)

    def may(self, permission: Permission) -> bool:
        """Whether the table and the scopes both allow it."""
        return permission in self.scopes and permission in PERMISSION_DOORS.get(
            (self.credential, self.door), frozenset()
        )
