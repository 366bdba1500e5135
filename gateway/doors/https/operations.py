"""What each route takes and answers, by the name of its page: what the document (`openapi`) says beside the table of routes.

What it is not: the table (`guard.TABLE`), which alone decides what is served and to whom. A row that belongs to another
standard's protocol has no operation here: it names the standard in its row.

A change must keep these:
1. An operation names every status its page can answer; schemathesis holds the door against that.
2. Bodies and queries are models (`models`), the same ones the pages check requests with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.doors.https import models
from gateway.doors.https.models import NoQuery

JSON: Final = "application/json"
OCTETS: Final = "application/octet-stream"
FORM: Final = "application/x-www-form-urlencoded"
STREAM: Final = "text/event-stream"
SIGNATURE: Final = "application/x-ssh-signature"


@dataclass(frozen=True)
class Body:
    """A request's body.

    Attributes:
        model: What it holds; None for bytes.
        media: Its media type.
        required: Whether there must be one.
    """

    model: Any = None
    media: str = JSON
    required: bool = True


@dataclass(frozen=True)
class Answer:
    """A good answer.

    Attributes:
        status: Its status.
        about: When it is given.
        model: What its body holds; None for none, or for bytes of the media type.
        media: The media type; more than one where the caller may choose; empty for no body.
        headers: Fields worth telling, by their names in `openapi`.
        events: For a stream: models of the data, by the events' types.
    """

    status: int
    about: str
    model: Any = None
    media: tuple[str, ...] = (JSON,)
    headers: tuple[str, ...] = ()
    events: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """What is said of a route.

    Attributes:
        tag: The chapter it stands in.
        summary: One line.
        about: More, where one line is not enough.
        body: The request's body.
        query: Model of the query.
        headers: Request fields that mean something here, by their names in `openapi`.
        answers: Good answers.
        problems: Codes of `problems.STATUS` it may answer, beside those every route may.
    """

    tag: str
    summary: str
    answers: tuple[Answer, ...]
    about: str = ""
    body: Body | None = None
    query: Any = NoQuery
    headers: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_OF_TRANSFER: Final = _words("no-such-transfer")
_JSON_BODY: Final = _words("bad-json unsupported-media unsupported-coding too-large incomplete body-timeout")
_QUERY: Final = _words("bad-query")
_CHANGING: Final = (*_OF_TRANSFER, *_words("wrong-state conflict"))
_DECLARED: Final = _words("bad-declaration")
_FILE: Final = (*_OF_TRANSFER, *_words("bad-path no-such-route"))
_SUBMITTED: Final = _words("empty-submission incomplete folding-names bad-path")
_OPENED: Final = _words(
    "bad-identifier bad-path not-registered too-many-transfers idempotency-key-used conflict bad-header"
)

_STREAM_PROBLEMS: Final = _words("bad-header too-many-streams")
_STREAMED: Final = (
    "A stream lasts as long as its token; come back with a new one and `Last-Event-ID`: nothing is lost and nothing told twice, "
    "whichever process answers. Comments keep it alive."
)
_SHOWN: Final = Answer(200, "The transfer as it stands.", models.TransferShown)
_LINKED: Final = ("Link",)

OPERATIONS: Final[Mapping[str, Operation]] = {
    "living": Operation("service", "Whether the process lives", (Answer(200, "It does.", models.Living),)),
    "ready": Operation(
        "service",
        "Whether the gateway can do its work",
        (Answer(200, "It can.", models.Readiness), Answer(503, "It cannot: see the checks.", models.Readiness)),
    ),
    "document": Operation("service", "This document", (Answer(200, "OpenAPI 3.1.", dict[str, Any]),)),
    "token": Operation(
        "access",
        "Get an access token",
        (
            Answer(200, "The token.", models.Token),
            Answer(400, "The request, or the scopes asked for (RFC 6749 section 5.2).", models.TokenRefusal),
            Answer(401, "The assertion does not hold.", models.TokenRefusal, headers=("WWW-Authenticate",)),
        ),
        about="OAuth 2.0 client credentials with `private_key_jwt` (RFC 6749 section 4.4, RFC 7523 section 2.2).",
        body=Body(models.TokenRequest, FORM),
        problems=_words("too-many-failures unsupported-coding incomplete body-timeout not-found"),
    ),
    "jwks": Operation(
        "access",
        "The gateway's public keys",
        (Answer(200, "The keys.", models.Jwks, media=("application/jwk-set+json",)),),
        about="They verify access tokens and the signatures of webhooks.",
    ),
    "endpoints": Operation(
        "transfers", "Recipients the caller's projects may send to", (Answer(200, "Them.", models.Endpoints),)
    ),
    "open_transfer": Operation(
        "transfers",
        "Open a transfer",
        (Answer(201, "It is open.", models.TransferShown, headers=("Location",)),),
        about="With an `Idempotency-Key` the same request again is answered with the same transfer.",
        body=Body(models.NewTransfer),
        headers=("Idempotency-Key",),
        problems=(*_JSON_BODY, *_DECLARED, *_OPENED),
    ),
    "list_transfers": Operation(
        "transfers",
        "Find transfers of the caller's institution",
        (Answer(200, "A page of them, newest first.", models.Transfers, headers=_LINKED),),
        query=models.TransferQuery,
        problems=(*_QUERY, "unusable"),
    ),
    "show_transfer": Operation("transfers", "One transfer", (_SHOWN,), problems=_OF_TRANSFER),
    "declare": Operation(
        "transfers",
        "Replace what is declared of the data",
        (_SHOWN,),
        about="While the transfer is open or held; a held one is decided again. Idempotent.",
        body=Body(models.Declaration),
        problems=(*_JSON_BODY, *_CHANGING, *_DECLARED, "not-registered"),
    ),
    "submit": Operation(
        "transfers",
        "Freeze the files and hand them on",
        (Answer(202, "It is submitted, now or before.", models.TransferShown),),
        about="Idempotent: submitting again the same files changes nothing, whatever came of them since.",
        body=Body(models.Submission, required=False),
        problems=(*_JSON_BODY, *_CHANGING, *_DECLARED, *_SUBMITTED, "not-registered"),
    ),
    "withdraw": Operation(
        "transfers",
        "End a transfer that has not left",
        (_SHOWN,),
        about="Idempotent: withdrawing again changes nothing.",
        problems=_CHANGING,
    ),
    "declare_batch": Operation(
        "transfers",
        "Declare many datasets at once (集中申报)",
        (Answer(200, "What became of every item, in their order.", models.BatchShown),),
        about=(
            "Each item opens a transfer or names one, declares it, and submits it where that is asked for. A request that cannot "
            "be understood does nothing; otherwise each item stands alone, and one that is refused stops no other: look at "
            "`failed`. With an `Idempotency-Key` the same batch again ends in the same transfers; one that broke off, or was "
            "answered 503, is sent again under its key."
        ),
        body=Body(models.NewBatch),
        headers=("Idempotency-Key",),
        problems=(*_JSON_BODY, "bad-header"),
    ),
    "follow_transfer": Operation(
        "events",
        "Follow a transfer",
        (
            Answer(
                200,
                "Server-sent events, until the transfer has ended.",
                media=(STREAM,),
                events={"state": models.StateEvent, "progress": models.ProgressEvent},
            ),
            Answer(204, "The transfer has ended, and nothing comes after `Last-Event-ID`.", media=()),
        ),
        about=_STREAMED,
        headers=("Last-Event-ID",),
        problems=(*_OF_TRANSFER, *_STREAM_PROBLEMS),
    ),
    "follow_all": Operation(
        "events",
        "Follow every transfer of the caller's institution",
        (Answer(200, "Server-sent events, without an end.", media=(STREAM,), events={"state": models.StateEvent}),),
        about=f"{_STREAMED} Without `Last-Event-ID` it begins now.",
        headers=("Last-Event-ID",),
        problems=_STREAM_PROBLEMS,
    ),
    "list_files": Operation(
        "files",
        "Files of a transfer",
        (Answer(200, "A page of them.", models.Files, headers=_LINKED),),
        about="A file that is replaced meanwhile may come again on a later page.",
        query=models.PageQuery,
        problems=(*_OF_TRANSFER, *_QUERY),
    ),
    "show_file": Operation(
        "files",
        "What was received under a path",
        (Answer(200, "Size and digest; never the bytes.", models.FileShown, headers=("Repr-Digest",)),),
        problems=(*_FILE, "no-such-file"),
    ),
    "put_file": Operation(
        "files",
        "Send a file",
        (
            Answer(200, "It took another one's place.", models.ReceivedFileShown, headers=("Repr-Digest",)),
            Answer(201, "It is new.", models.ReceivedFileShown, headers=("Repr-Digest",)),
        ),
        about="The whole file in one request; what breaks off leaves nothing. Send its digest, and it is checked.",
        body=Body(None, OCTETS),
        headers=("Content-Digest", "Repr-Digest"),
        problems=(
            *_FILE,
            *_CHANGING,
            *_words("bad-header bad-digest digest-mismatch unsupported-coding too-large quota-reached incomplete"),
            *_words("body-timeout disk-full"),
        ),
    ),
    "delete_file": Operation(
        "files",
        "Take a file out of an open transfer",
        (Answer(204, "It is gone.", media=()),),
        problems=(*_FILE, *_CHANGING, "no-such-file"),
    ),
    "receipt": Operation(
        "evidence",
        "The signed receipt",
        (Answer(200, "Receipt and signature, or the signature alone.", models.Receipt, (JSON, SIGNATURE)),),
        problems=(*_OF_TRANSFER, "no-receipt"),
    ),
    "history": Operation(
        "evidence",
        "What the ledger says of a transfer",
        (Answer(200, "A page of entries, oldest first.", models.History, headers=_LINKED),),
        query=models.PageQuery,
        problems=(*_OF_TRANSFER, *_QUERY),
    ),
}
