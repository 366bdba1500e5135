"""The decision certificate: what was decided, on which facts, under which rules, signed; anybody can decide it again.

The rules:
1. A certificate holds the whole decision record (`Decision.record`): every fact that rules could read, what followed from them,
   which rules fired, and the digest of the rule pack. Whoever has that pack recomputes the verdict without us.
2. It names the case officers vote on. A ballot names the same case, so votes and certificate are about one thing.
3. A verdict that cannot be computed again is a finding against whoever signed it: `check` says everything that differs.

Source: OpenSSH PROTOCOL.sshsig for the signature, RFC 8785 for the bytes under it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.core.calendar import WorkCalendar
from gateway.core.decide import decide
from gateway.core.documents import parse_document
from gateway.core.errors import Unusable
from gateway.core.review import Case
from gateway.core.rulebook import Rulebook
from gateway.core.situation import Vocabulary, thaw_situation
from gateway.wire import canonical

NAMESPACE: Final = "hetao-decision"
_TYPE: Final = "hetao-decision"
RECORD: Final = (
    "v", "verdict", "rules", "flags", "citations", "mechanism", "rulebook", "fired", "situation", "derived"
)  # fmt: skip
_FIELDS: Final = frozenset(
    {"v", "type", "transfer", "files_root", "endpoint", "endpoint_key", "case", "at", "decision"}
)


@dataclass(frozen=True)
class Certificate:
    """A certificate as it was parsed; its signature is checked apart.

    Attributes:
        transfer: Its transfer.
        files_root: Merkle root of the file list, hex.
        endpoint: The recipient.
        endpoint_key: Fingerprint of the recipient's key.
        case: Digest of the case officers vote on, hex.
        at: When it was decided, RFC 3339.
        decision: The decision record.
    """

    transfer: str
    files_root: str
    endpoint: str
    endpoint_key: str
    case: str
    at: str
    decision: Mapping[str, Any]

    @property
    def rulebook(self) -> str:
        """Digest of the pack it was decided under, hex."""
        return str(self.decision["rulebook"])


def compose(case: Case, record: Mapping[str, Any], at: str) -> bytes:
    """The certificate's bytes: canonical JSON, to be signed under `hetao-decision`.

    Args:
        case: What officers vote on.
        record: What was decided on it (`Decision.record`); other keys beside are left out.
        at: RFC 3339.
    """
    return canonical.encode(
        {
            "v": 1,
            "type": _TYPE,
            "transfer": case.transfer_id,
            "files_root": case.files_root,
            "endpoint": case.endpoint,
            "endpoint_key": case.endpoint_key,
            "case": case.digest(),
            "at": at,
            "decision": {name: record[name] for name in RECORD},
        }
    )


def parse(document: bytes) -> Certificate:
    """A certificate from its bytes.

    Raises:
        Unusable: Not canonical JSON of this form.
    """
    told = parse_document(document)
    if told.keys() != _FIELDS or told["type"] != _TYPE or told["v"] != 1 or not isinstance(told["decision"], Mapping):
        raise Unusable("this is no decision certificate of a form that is known here")
    if told["decision"].keys() != {*RECORD}:
        raise Unusable("the certificate's decision is not of a form that is known here")
    names = ("transfer", "files_root", "endpoint", "endpoint_key", "case", "at")
    if not all(isinstance(told[name], str) for name in names):
        raise Unusable("a field of the certificate is not text")
    return Certificate(**{name: told[name] for name in names}, decision=told["decision"])


def check(certificate: Certificate, rulebook: Rulebook, vocabulary: Vocabulary, calendar: WorkCalendar) -> list[str]:
    """What differs when the decision is made again; nothing where it holds.

    Raises:
        Unusable: The pack at hand is another one, or the facts cannot be read under it.
    """
    if rulebook.digest != certificate.rulebook:
        raise Unusable(
            f"the certificate was decided under rule pack {certificate.rulebook[:12]}, at hand is {rulebook.digest[:12]}: "
            "name the right one with --policies"
        )
    situation = thaw_situation(certificate.decision["situation"], vocabulary)
    again = decide(rulebook, situation, calendar)
    case = Case(
        transfer_id=certificate.transfer,
        files_root=certificate.files_root,
        endpoint=certificate.endpoint,
        endpoint_key=certificate.endpoint_key,
        rulebook=rulebook.digest,
        rules=again.rules,
        known=again.record()["situation"],
    )
    faults = [
        f"{name}: the certificate says {_short(certificate.decision.get(name))}, computed is {_short(value)}"
        for name, value in again.record().items()
        if certificate.decision.get(name) != value
    ]
    return faults + ([] if case.digest() == certificate.case else ["the case is not the one these facts make"])


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 200 else text[:200] + "..."
