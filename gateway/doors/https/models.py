"""What goes in and out of the pages under `/v1/`, as types: one model a body, read by the checks and by the document.

What it is not: the flow's own values. An answer's members are chosen in `flow.enquiry`, which knows what a sender may see;
tests hold every answer of the door against these models, closed.

A change must keep these:
1. Members of answers are only added, and never with a name or a finding that `flow.enquiry` withholds.
2. Every text of a request has a bound, here or in the parser of the core that reads it.
3. No `from __future__ import annotations` here: `TypedDict` would not know which members must be there.
"""

from typing import Annotated, Any, Final, Literal, NotRequired, TypedDict

from gateway.core.transfer import State
from gateway.doors.https.schema import Limit

MAX_PAGE: Final = 1000
MAX_BATCH: Final = 1000
ID: Final = "t[a-z2-7]{24}"
_ID_EXAMPLE: Final = "tmfrggzdfmztwq2lknnwg23tp"

Identifier = Annotated[
    str,
    Limit(
        "a registered identifier: 1 to 63 characters of a-z, 0-9 and inner dashes",
        pattern="[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?",
        example="hku-genomics",
    ),
]
TransferId = Annotated[str, Limit("id of a transfer", pattern=ID, example=_ID_EXAMPLE)]
DatasetName = Annotated[
    str, Limit("name of the dataset, one path segment", shortest=1, longest=255, example="cohort-2026-q3")
]
FilePath = Annotated[str, Limit("path of a file in the dataset, `/` between its segments", example="tables/visits.csv")]
Instant = Annotated[
    str, Limit("RFC 3339, with an offset", format="date-time", longest=40, example="2026-11-20T02:00:00.000Z")
]
Sha256 = Annotated[str, Limit("SHA-256, hex", pattern="[0-9a-f]{64}", example="ab" * 32)]
Count = Annotated[int, Limit(least=0)]
Declaration = Annotated[
    dict[str, Any],
    Limit(
        "what the sender says of the data: tables by section (`data`, `hgr`, `exemption`, `duties`, `purpose`, `request`, "
        "`persons`) with the vocabulary's names; `filings`, a list of ids of registered filings; `lineage`, a list of ids of the "
        "inbound transfers the data derive from; unknown words are refused",
        example={
            "data": {"level": "general", "personal": False, "controlled_technology": False},
            "hgr": {"information": False},
        },
    ),
]

# --- requests --------------------------------------------------------------------------------------------------------


class NewTransfer(TypedDict):
    """A transfer to open."""

    endpoint: Identifier
    project: Identifier
    dataset: DatasetName
    declaration: NotRequired[Declaration]


class Submission(TypedDict):
    """What must be there. Without a list everything received is submitted."""

    files: NotRequired[
        Annotated[dict[str, Count], Limit("size in bytes by path", example={"tables/visits.csv": 1048576})]
    ]


class BatchItem(TypedDict):
    """One dataset of a batch: a transfer that is there (`transfer`), or one to open (`endpoint`, `project`, `dataset`)."""

    transfer: NotRequired[TransferId]
    endpoint: NotRequired[Identifier]
    project: NotRequired[Identifier]
    dataset: NotRequired[DatasetName]
    declaration: NotRequired[Declaration]
    submit: NotRequired[Annotated[bool, Limit("whether to submit it, too", default=False)]]
    files: NotRequired[Annotated[dict[str, Count], Limit("as in a submission; with `submit` only")]]


class NewBatch(TypedDict):
    """Many datasets declared at once (集中申报). `declaration` is that of every item without one of its own."""

    items: Annotated[list[BatchItem], Limit(shortest=1, longest=MAX_BATCH)]
    declaration: NotRequired[Declaration]


class TransferQuery(TypedDict, total=False):
    """What a list of transfers is asked for."""

    endpoint: Annotated[str, Limit("only to this endpoint", longest=63)]
    project: Annotated[str, Limit("only under this project", longest=63)]
    dataset: Annotated[str, Limit("only of this dataset", longest=255)]
    verdict: Annotated[str, Limit("only with this verdict: allow, hold, deny", longest=63)]
    rule: Annotated[str, Limit("only where this rule fired", longest=63)]
    digest: Annotated[str, Limit("only with a file of this SHA-256, hex", pattern="(?:[0-9A-Fa-f]{64})?")]
    text: Annotated[str, Limit("looked for in ids, datasets, reasons and paths", longest=255)]
    state: Annotated[list[State], Limit("only in one of these states; may come again")]
    since: Annotated[Instant, Limit("opened then or later")]
    until: Annotated[Instant, Limit("opened before")]
    limit: Annotated[int, Limit("transfers a page", least=1, most=MAX_PAGE, default=100)]
    after: Annotated[TransferId, Limit("`next` of the page before")]


class PageQuery(TypedDict, total=False):
    """Which page of a long list."""

    limit: Annotated[int, Limit("entries a page", least=1, most=MAX_PAGE, default=MAX_PAGE)]
    after: Annotated[int, Limit("`next` of the page before", least=0, most=(1 << 53) - 1)]


class NoQuery(TypedDict):
    """No parameters."""


# --- answers ---------------------------------------------------------------------------------------------------------


class EndpointShown(TypedDict):
    """A recipient."""

    id: Identifier
    name: str
    place: Annotated[str, Limit("HK, MO or another ISO 3166-1 code", example="HK")]
    projects: Annotated[list[Identifier], Limit("of the caller's projects those that may send there")]


class Endpoints(TypedDict):
    """The recipients the caller's projects may send to."""

    endpoints: list[EndpointShown]


class Citation(TypedDict):
    """An article a rule rests on."""

    rule: str
    instrument: str
    article: str


Remedy = TypedDict(
    "Remedy",
    {"rule": str, "cure": str, "code": str, "en": str, "zh-Hans": str, "zh-Hant": str},
    total=False,
)
Remedy.__doc__ = "What would help, in three languages."


class LineageShown(TypedDict):
    """What was found of a claim that the data came from abroad (Order 16 art 4)."""

    state: Literal["proven", "added", "unproven", "unnamed", "lost"]
    added: Annotated[int, Limit("people who did not come in under the named transfers, rounded up", least=0)]


class DecisionShown(TypedDict):
    """A decision as its sender may see it; numbers of people are rounded up."""

    verdict: Literal["allow", "hold", "deny"]
    rules: Annotated[list[str], Limit("ids of the rules that fired, strictest first", example=["D7"])]
    citations: list[Citation]
    mechanism: Annotated[str, Limit("the route it takes", example="none")]
    remedies: list[Remedy]
    rulebook: Annotated[str, Limit("digest of the rule pack")]
    persons: NotRequired[dict[str, Count]]
    lineage: NotRequired[LineageShown]


class TransferShown(TypedDict):
    """A transfer as it stands."""

    id: TransferId
    endpoint: Identifier
    project: Identifier
    dataset: str
    version: Annotated[int, Limit("1 for the first submission of this dataset, then counting", least=1)]
    direction: Annotated[
        Literal["outbound", "inbound"], Limit("which way it goes, by where both parties are registered")
    ]
    state: State
    since: Annotated[Instant, Limit("when it came into that state")]
    opened_at: Instant
    due: Annotated[Instant | None, Limit("when the state's time is up; null at an end")]
    owner: Annotated[str | None, Limit("who must act: sender, gateway, officers, operator")]
    files: Count
    bytes: Count
    decision: DecisionShown | None
    says: Annotated[str, Limit("the state in the caller's language (`Accept-Language`)")]
    lineage: NotRequired[Annotated[list[TransferId], Limit("inbound transfers it is said to derive from")]]
    reason: NotRequired[Annotated[str, Limit("why it failed, waits or was rejected")]]
    escalated_at: NotRequired[
        Annotated[Instant, Limit("when a held transfer had waited for votes longer than it should")]
    ]


class Transfers(TypedDict):
    """A page of transfers, newest first."""

    transfers: list[TransferShown]
    next: NotRequired[Annotated[TransferId, Limit("`after` of the next page; absent on the last")]]


class FileShown(TypedDict):
    """A received file."""

    path: FilePath
    size: Count
    sha256: Sha256


class Unfinished(TypedDict):
    """A file that is not whole yet: what was cut off, or an upload that goes on at its own address (tus)."""

    path: NotRequired[FilePath]
    size: Annotated[int, Limit("bytes that are kept", least=0)]
    length: NotRequired[Annotated[int, Limit("bytes it will have", least=0)]]
    upload: NotRequired[Annotated[str, Limit("where it goes on", example="/files/u2hbx3kqw6c5dfm4y7tzr2p5ae")]]
    expires: NotRequired[Instant]


class Files(TypedDict):
    """A page of a transfer's files, in the order in which they were received."""

    files: list[FileShown]
    unfinished: NotRequired[Annotated[list[Unfinished], Limit("on the first page, where there is any")]]
    next: NotRequired[Annotated[int, Limit("`after` of the next page; absent on the last", least=0)]]


class ReceivedFileShown(FileShown):
    """A file that was just received."""

    format: Annotated[str, Limit("what its bytes show it to be", example="csv")]
    inspectable: Annotated[bool, Limit("whether every byte of it was interpreted; what was not is held")]


class Receipt(TypedDict):
    """The signed receipt."""

    receipt: Annotated[str, Limit("canonical JSON (RFC 8785); the bytes that are signed")]
    signature: Annotated[str, Limit("SSHSIG, armored; `ssh-keygen -Y verify` checks it")]


class LedgerEntry(TypedDict):
    """A fact as the ledger keeps it; personal content is a salted commitment."""

    index: Annotated[int, Limit("position in the ledger", least=0)]
    v: int
    tag: Annotated[str, Limit("what happened", example="transfer.submitted")]
    subject: str
    at: Instant
    actor: str
    body: NotRequired[Annotated[dict[str, Any], Limit("public fields of the fact")]]
    commitment: NotRequired[Sha256]
    withheld: NotRequired[Annotated[bool, Limit("whether the fields are for officers only")]]


class History(TypedDict):
    """A page of a transfer's ledger entries, oldest first."""

    entries: list[LedgerEntry]
    next: NotRequired[Annotated[int, Limit("`after` of the next page; absent on the last", least=0)]]


class StateEvent(TypedDict):
    """Data of a `state` event: the transfer came into that state. The event's id is its position in the ledger."""

    transfer: TransferId
    state: State
    at: Instant
    verdict: NotRequired[
        Annotated[Literal["allow", "hold", "deny"], Limit("where the state is the outcome of a decision")]
    ]


class ProgressEvent(TypedDict):
    """Data of a `progress` event: how far an open transfer's uploads are. It has no id and is not told again."""

    transfer: TransferId
    files: Annotated[int, Limit("received whole", least=0)]
    bytes: Annotated[int, Limit("of them", least=0)]
    uploads: Annotated[int, Limit("files under way, in the process that tells", least=0)]
    upload_bytes: Annotated[int, Limit("of them so far", least=0)]


class ProblemShown(TypedDict):
    """A problem (RFC 9457)."""

    type: str
    title: Annotated[str, Limit("what kind of problem, in the caller's language")]
    status: Annotated[int, Limit(least=400, most=599)]
    detail: NotRequired[
        Annotated[str, Limit("what happened this time and what to do; absent where it is the gateway's doing")]
    ]
    instance: str
    code: Annotated[str, Limit("the last part of `type`")]
    remedy: Annotated[str, Limit("what helps, in the caller's language")]
    retry: Annotated[bool, Limit("whether the same request may succeed later")]


class BatchResult(TypedDict):
    """What became of one item: the transfer as it stands, and the problem of the step that was refused, if one was."""

    status: Annotated[int, Limit("the status the request of its own would have had", least=200, most=599)]
    transfer: NotRequired[TransferShown]
    problem: NotRequired[ProblemShown]


class BatchShown(TypedDict):
    """What became of every item, in their order."""

    results: list[BatchResult]
    succeeded: Count
    failed: Count


class Token(TypedDict):
    """An access token (RFC 6749 section 5.1)."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: Annotated[int, Limit("seconds", least=1)]
    scope: str


class TokenRefusal(TypedDict):
    """Why there is none (RFC 6749 section 5.2)."""

    error: Annotated[str, Limit(example="invalid_client")]
    error_description: str


class TokenRequest(TypedDict):
    """A token request: client credentials, proven by a signed assertion (RFC 7523 section 2.2)."""

    grant_type: Literal["client_credentials"]
    client_assertion_type: Literal["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    client_assertion: Annotated[str, Limit("a JWT signed by the registered key: iss, sub, aud, exp, jti")]
    scope: NotRequired[Annotated[str, Limit("scopes asked for, separated by spaces", example="transfers:read")]]
    client_id: NotRequired[str]


class Jwks(TypedDict):
    """Public keys (RFC 7517 section 5): of access tokens, and of webhooks."""

    keys: list[dict[str, Any]]


class Living(TypedDict):
    """The process lives."""

    status: Literal["ok"]


class Readiness(TypedDict):
    """Whether the gateway can do its work, check by check."""

    status: Literal["ok", "not-ready"]
    checks: Annotated[dict[str, str], Limit("`ok`, or the code of what is wrong")]
