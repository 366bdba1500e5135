"""Everybody a test of credentials needs: two institutions with people and clients, two officers, a registry they signed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gateway.core.identity import SENDER_SCOPES
from gateway.core.records import Client, Endpoint, Institution, Officer, Person, Project, Record
from gateway.core.registry import NAMESPACE, compose_change
from gateway.flow.recorder import Recorder
from gateway.flow.registrar import Registrar
from gateway.ports import Keyring, Records
from gateway.stores.rulebooks import load_policies
from gateway.wire import sshsig
from tests.fakes.clock import FakeClock
from tests.fakes.entropy import FakeEntropy
from tests.fakes.keyring import FakeKeyring
from tests.fakes.observer import FakeObserver
from tests.fakes.records import FakeRecords

ISSUER = "https://gateway.example"
TOKEN_URL = f"{ISSUER}/oauth2/token"
RECIPIENT_KEY = "c2l4dGVlbiBieXRlcyAuLi4gYW5kIHNpeHRlZW4hISE="


def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def jwk_of(key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey) -> dict[str, str]:
    """The public JWK, by pyjwt's hand and not by the code under test."""
    algorithm: Any = jwt.algorithms.get_default_algorithms()["EdDSA" if isinstance(key, Ed25519PrivateKey) else "ES256"]
    made: dict[str, str] = json.loads(algorithm.to_jwk(key.public_key()))
    return {name: value for name, value in made.items() if name in {"kty", "crv", "x", "y"}}


def write_pem(key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey, path: Path) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


@dataclass
class Parties:
    """`ec_key` belongs to the client `sz-lab-ec`, `ed_key` to `sz-lab-ed`, `other_key` to `gz-lab-ec`."""

    clock: FakeClock = field(default_factory=FakeClock)
    observer: FakeObserver = field(default_factory=FakeObserver)
    records: Records = field(default_factory=FakeRecords)
    keyring: Keyring = field(default_factory=FakeKeyring)
    entropy: FakeEntropy = field(default_factory=FakeEntropy)
    ec_key: ec.EllipticCurvePrivateKey = field(default_factory=p256)
    ed_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    other_key: ec.EllipticCurvePrivateKey = field(default_factory=p256)
    officers: tuple[Ed25519PrivateKey, Ed25519PrivateKey] = field(
        default_factory=lambda: (Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate())
    )

    def __post_init__(self) -> None:
        self.recorder = Recorder(
            records=self.records,
            keyring=self.keyring,
            clock=self.clock,
            entropy=self.entropy,
            observer=self.observer,
        )
        self.registrar = Registrar(self.recorder, "", load_policies().vocabulary)

    async def found(self) -> Parties:
        genesis = compose_change("", self._first_records())
        await self.registrar.initialise(genesis, origin="gateway.example/log", ledger_key="none")
        return self

    def _first_records(self) -> tuple[tuple[str, Record], ...]:
        lines = [
            key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() for key in self.officers
        ]
        return (
            ("institution", Institution("sz-lab", "深圳实验室", "Shenzhen Lab", "91440300708461136T", "B-1")),
            ("institution", Institution("gz-lab", "广州实验室", "Guangzhou Lab", "914403001922038216")),
            ("person", Person("zhang-san", "张三", "sz-lab", real_name_verified=True)),
            ("person", Person("li-si", "李四", "gz-lab", real_name_verified=True)),
            ("person", Person("wang-wu", "王五")),
            ("person", Person("zhao-liu", "赵六")),
            ("officer", Officer("officer-wang", "wang-wu", "security", lines[0])),
            ("officer", Officer("officer-zhao", "zhao-liu", "audit", lines[1])),
            ("endpoint", Endpoint("hku-genomics", "HKU Genomics", "HK", "directory", RECIPIENT_KEY)),
            ("endpoint", Endpoint("hkust-data", "HKUST Data", "HK", "directory", RECIPIENT_KEY)),
            ("project", Project("trial-a", "sz-lab", ("hku-genomics",), "trial A")),
            ("project", Project("trial-b", "gz-lab", ("hkust-data",), "trial B")),
            ("client", Client("sz-lab-ec", "sz-lab", "zhang-san", jwk_of(self.ec_key), SENDER_SCOPES)),
            ("client", Client("sz-lab-ed", "sz-lab", "zhang-san", jwk_of(self.ed_key), ("transfers:read",))),
            ("client", Client("gz-lab-ec", "gz-lab", "li-si", jwk_of(self.other_key), SENDER_SCOPES)),
        )

    async def amend(self, *put: tuple[str, Record], retire: tuple[tuple[str, str], ...] = ()) -> None:
        """Change the registry as two officers do."""
        head = (await self.registrar.registry()).head
        change = compose_change(head, put, retire)
        signatures = [sshsig.sign(key, change.document, NAMESPACE) for key in self.officers]
        await self.registrar.approve(await self.registrar.propose(change, signatures[0]), signatures[1])

    async def client(self, identifier: str, **changes: Any) -> None:
        """Register a client anew with some fields changed."""
        known = (await self.registrar.registry()).get(Client, identifier)
        await self.amend(("client", replace(known, **changes)))

    def claims(self, client: str = "sz-lab-ec", **changes: Any) -> dict[str, Any]:
        """Claims of an assertion that holds; a change to None takes a claim out."""
        now = int(self.clock.now().timestamp())
        held: dict[str, Any] = {
            "iss": client,
            "sub": client,
            "aud": TOKEN_URL,
            "iat": now,
            "exp": now + 120,
            "jti": self.entropy.token(8).hex(),
        }
        return {name: value for name, value in (held | changes).items() if value is not None}

    def assertion(self, client: str = "sz-lab-ec", *, headers: dict[str, Any] | None = None, **changes: Any) -> str:
        keys = {"sz-lab-ec": self.ec_key, "sz-lab-ed": self.ed_key, "gz-lab-ec": self.other_key}
        key = keys[client]
        algorithm = "EdDSA" if isinstance(key, Ed25519PrivateKey) else "ES256"
        return jwt.encode(self.claims(client, **changes), key, algorithm, headers)
