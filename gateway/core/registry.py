"""Who may send, what may receive, and who vouches for it: the registry, folded from doubly signed changes.

The rules:
1. A registry is never edited: it is the fold of a genesis and of changes, each signed by two officers who are two
   different natural persons, at least one of them a security officer. A swapped endpoint key or an invented filing in
   the database therefore changes nothing: the fold would not verify.
2. Each change names the digest of the one before it, so changes cannot be dropped, doubled or reordered.
3. What a record refers to must exist after the change; one person holds one office, lent ones included, one key is one
   person's, one certificate one client's (`gateway.core.records.coherence`).
4. No change may leave fewer officers than the next change needs: the registry would be closed for ever.

Source: OpenSSH PROTOCOL.sshsig.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TypeVar

from gateway.core.documents import parse_document
from gateway.core.errors import BrokenPromise, Conflict, NotFound, Unusable
from gateway.core.records import KINDS, Channel, Delegation, Officer, Person, Record, SshKey, parse_record, record_table
from gateway.core.records.coherence import climb, incoherences
from gateway.wire import canonical, sshsig

NAMESPACE = "hetao-registry"
CHANNEL_SIGNERS = frozenset({"security", "audit"})
_CHANGE_KEYS = {"v", "previous", "put", "retire"}
_PUT_KEYS = {"kind", "record"}
_RETIRE_KEYS = {"kind", "id"}

R = TypeVar("R")


@dataclass(frozen=True)
class Change:
    """A set of records to put and to retire, as two officers sign it.

    Attributes:
        document: Canonical JSON; what both signatures cover.
        previous: SHA-256 of the change before it, hex; the genesis has an empty one.
    """

    document: bytes
    previous: str
    put: tuple[tuple[str, Record], ...]
    retire: tuple[tuple[str, str], ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the document, hex."""
        return hashlib.sha256(self.document).hexdigest()


def compose_change(
    previous: str, put: tuple[tuple[str, Record], ...], retire: tuple[tuple[str, str], ...] = ()
) -> Change:
    """A change that follows `previous` (a hex digest, or empty for a genesis)."""
    document = canonical.encode(
        {
            "v": 1,
            "previous": previous,
            "put": [{"kind": kind, "record": record_table(record)} for kind, record in put],
            "retire": [{"kind": kind, "id": identifier} for kind, identifier in retire],
        }
    )
    return Change(document, previous, put, retire)


def parse_change(document: bytes) -> Change:
    """A change from its signed bytes.

    Raises:
        Unusable: Where the document is not canonical JSON of this form.
    """
    try:
        body = parse_document(document, max_size=1 << 20, max_depth=12)
        put = tuple((each["kind"], parse_record(each["kind"], each["record"])) for each in body["put"])
        retire = tuple((each["kind"], each["id"]) for each in body["retire"])
        version, previous = body["v"], body["previous"]
        keys = [set(body), *map(set, body["put"]), *map(set, body["retire"])]
    except (KeyError, TypeError) as wrong:
        raise Unusable(f"the registry change cannot be read: {wrong!r}") from wrong
    expected = [_CHANGE_KEYS, *(_PUT_KEYS for _ in put), *(_RETIRE_KEYS for _ in retire)]
    if type(version) is not int or version != 1 or keys != expected:
        raise Unusable("the registry change is of another version: use the matching release")
    if not all(isinstance(text, str) for text in (previous, *(text for pair in retire for text in pair))):
        raise Unusable("the registry change cannot be read: a digest, kind or id that is not text")
    named = [*((kind, record.id) for kind, record in put), *retire]
    if len(set(named)) != len(named):
        raise Unusable("the registry change names a record twice: say what shall hold")
    return Change(document, previous, put, retire)


@dataclass(frozen=True)
class Seat:
    """An office, and the natural person who votes in it."""

    officer: Officer
    person: str

    @property
    def deputy(self) -> bool:
        """Whether that is not the officer."""
        return self.person != self.officer.person


@dataclass(frozen=True)
class Registry:
    """Everything registered, at one revision."""

    revision: int = 0
    head: str = ""
    records: Mapping[tuple[str, str], Record] = field(default_factory=dict)
    signed: Mapping[str, tuple[Officer, Officer]] = field(default_factory=dict)  # by channel, who signed it

    def get(self, kind: type[R], identifier: str) -> R:
        """The record of that type; raises NotFound."""
        found = self.find(kind, identifier)
        if found is None:
            raise NotFound(f"{kind.__name__.lower()} {identifier!r} is not registered", code="not-registered")
        return found

    def find(self, kind: type[R], identifier: str) -> R | None:
        """The record of that type, or None."""
        for name, record_type in KINDS.items():
            found = self.records.get((name, identifier))
            if record_type is kind and isinstance(found, kind):
                return found
        return None

    def all(self, kind: type[R]) -> tuple[R, ...]:
        """Every record of that type, by identifier."""
        return tuple(record for key, record in sorted(self.records.items()) if isinstance(record, kind))

    def officer_by_key(self, blob: bytes, on: date) -> Officer:
        """The officer whose registered key this is and whose office holds on that day.

        Raises:
            NotFound: Where no officer in office has this key.
        """
        for officer in self.all(Officer):
            if sshsig.public_blob(officer.key) == blob and (officer.valid_to is None or on <= officer.valid_to):
                return officer
        raise NotFound("the signing key belongs to no officer in office: register it first", code="not-registered")

    def seat(self, officer: str, blob: bytes, on: date) -> Seat:
        """Who votes in an officer's name with this key on that day: the officer, or a deputy.

        Raises:
            NotFound: The officer is not in office, or the key is neither's.
        """
        held = self.get(Officer, officer)
        if held.valid_to is None or on <= held.valid_to:
            if sshsig.public_blob(held.key) == blob:
                return Seat(held, held.person)
            for each in self.all(Delegation):
                if each.officer == officer and each.holds_on(on) and sshsig.public_blob(each.key) == blob:
                    return Seat(held, each.person)
        raise NotFound(f"the signing key is neither officer {officer}'s nor a deputy's", code="not-registered")

    def seats(self, blob: bytes, on: date) -> list[Seat]:
        """Every seat that votes with this key on that day, an office of one's own first."""
        found = []
        for officer in self.all(Officer):
            try:
                found.append(self.seat(officer.id, blob, on))
            except NotFound:
                continue
        return sorted(found, key=lambda each: each.deputy)

    def ssh_key(self, institution: str, blob: bytes, on: date) -> SshKey | None:
        """The institution's registered SSH key of these bytes that holds on that day, or None."""
        for each in self.all(SshKey):
            valid = each.valid_to is None or on <= each.valid_to
            if each.institution == institution and valid and sshsig.public_blob(each.key) == blob:
                return each
        return None

    def line_of(self, person: str) -> frozenset[str]:
        """The person, everyone above and everyone below: nobody of these votes on that person's transfer."""
        people: dict[str, Person] = {each.id: each for each in self.all(Person)}
        above = climb(person, people)
        below = {each for each in people if person in climb(each, people)}
        return frozenset(above | below | {person})

    def apply(self, change: Change, signatures: tuple[bytes, bytes], on: date) -> Registry:
        """The registry after a change, once both signatures hold.

        1. The change follows this registry's head.
        2. Each signature is by an officer in office on that day.
        3. The two officers are two persons, and one of them is a security officer.
        4. What the records refer to exists.

        Args:
            change: The change.
            signatures: Two armored SSHSIGs over its document.
            on: The day the second one was recorded, Asia/Shanghai.

        Raises:
            Conflict: Where step 1 fails: somebody else's change came first.
            BrokenPromise: Where steps 2 and 3 fail.
            Unusable: Where step 4 fails.
        """
        if change.previous != self.head:  # step 1
            raise Conflict("the registry changed since this was proposed: propose it again", code="stale-change")
        signers = [self.signer(change, signature, on) for signature in signatures]  # step 2
        if signers[0].person == signers[1].person:  # step 3
            raise BrokenPromise("both signatures are by the same person: a second officer must sign")
        if "security" not in {signer.role for signer in signers}:
            raise BrokenPromise("neither signer is a security officer: one of the two must be")
        channels = [record.id for _, record in change.put if isinstance(record, Channel)]
        if channels and {signer.role for signer in signers} != CHANNEL_SIGNERS:
            raise BrokenPromise("a channel needs the signatures of a security officer and of an audit officer")
        after = self.after(change)
        kept = {name: pair for name, pair in self.signed.items() if ("channel", name) in after.records}
        return _checked(replace(after, signed=kept | dict.fromkeys(channels, (signers[0], signers[1]))))

    def signer(self, change: Change, signature: bytes, on: date) -> Officer:
        """The officer who signed the change.

        Raises:
            BrokenPromise: Where the signature does not verify or its key is no officer's.
        """
        try:
            return self.officer_by_key(sshsig.verify(signature, change.document, NAMESPACE), on)
        except (ValueError, NotFound) as wrong:
            raise BrokenPromise(f"the signature on the registry change does not hold: {wrong}") from wrong

    def after(self, change: Change) -> Registry:
        """The records after a change whose right to be made was checked: use `apply`."""
        records = dict(self.records)
        for kind, record in change.put:
            records[kind, record.id] = record
        for key in change.retire:
            if records.pop(key, None) is None:
                raise Unusable(f"{key[0]} {key[1]!r} cannot be retired: it is not registered")
        return replace(self, revision=self.revision + 1, head=change.digest, records=records)


def _checked(registry: Registry) -> Registry:
    """The registry, once its records fit together and two officers can sign the next change."""
    complaints = incoherences(registry.records)
    officers = registry.all(Officer)
    if len({officer.person for officer in officers}) < 2 or "security" not in {officer.role for officer in officers}:
        complaints.append("a registry needs two officers who are two persons, one of them a security officer")
    if complaints:
        raise Unusable("; ".join(complaints))
    return registry


def found_registry(genesis: Change) -> Registry:
    """The first registry: persons and officers named when the gateway was initialised.

    Raises:
        Unusable: Where the genesis does not begin a chain or has fewer than two officers of two persons.
    """
    if genesis.previous or genesis.retire:
        raise Unusable("a genesis begins the chain: it follows nothing and retires nothing")
    if any(isinstance(record, Channel) for _, record in genesis.put):
        raise Unusable("a genesis has no channels: nobody signed them")
    return _checked(Registry().after(genesis))
