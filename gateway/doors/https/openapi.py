"""The OpenAPI document, drawn from the table of routes, the operations, the models and the problems; no copy is kept.

What it is not: a description of other standards' protocols. Rows that belong to one are named under `x-protocols`.

A change must keep these:
1. The document says nothing that the code does not read: paths and scopes are the table's, bodies the models', statuses of
   problems those of `problems.STATUS`, texts the catalogue's.
2. A way to prove oneself is one row of `SECURITY`; every closed route may be entered by each of them.

Sources: OpenAPI 3.1.1, RFC 9457, RFC 8288 (Link), RFC 9530 (digests), draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any, Final

from gateway.core.catalogue import Catalogue
from gateway.core.identity import SENDER_SCOPES
from gateway.doors.https import models
from gateway.doors.https.guard import TABLE, Row
from gateway.doors.https.operations import OPERATIONS, Answer, Body, Operation
from gateway.doors.https.problems import STATUS, TYPE
from gateway.doors.https.schema import REFERENCE, Schema, members, object_of, schema_of, title_of
from gateway.wire.problem import MEDIA_TYPE

ABOUT: Final = """Research institutions send datasets from Shenzhen to Hong Kong through this gateway. Every answer that is an \
error is a problem (RFC 9457) with a stable `type`. Members may be added to answers at any time: ignore what you do not \
know. Requests with unknown members or parameters are refused."""

SECURITY: Final[Mapping[str, Schema]] = {
    "oauth2": {
        "type": "oauth2",
        "description": "A token of `/oauth2/token`, as `Authorization: Bearer` (RFC 6750).",
        "flows": {
            "clientCredentials": {
                "tokenUrl": "/oauth2/token",
                "scopes": {scope: scope.replace(":", ": ") for scope in SENDER_SCOPES},
            }
        },
    },
}
"""Ways to prove oneself, by the name of the scheme. Only OAuth has scopes; others are worth what the registry says."""

PATHS: Final[Mapping[str, Any]] = {"id": models.TransferId, "path": models.FilePath}
"""Parameters of paths."""

REQUEST_HEADERS: Final[Mapping[str, tuple[str, str]]] = {
    "Idempotency-Key": ("a name for this request, 1 to 200 printable characters, quoted or bare", '"5b1c6c0e-batch-7"'),
    "Last-Event-ID": ("`id` of the last event that arrived; the stream goes on after it", "17"),
    "Content-Digest": ("digest of the body (RFC 9530): sha-256 or sha-512", f"sha-256=:{'A' * 43}=:"),
    "Repr-Digest": ("the same; both must agree", f"sha-256=:{'A' * 43}=:"),
    "Accept-Language": ("language of texts: en, zh-Hans, zh-Hant", "zh-Hans"),
}
ANSWER_HEADERS: Final[Mapping[str, str]] = {
    "Link": 'RFC 8288: the next page as `rel="next"`; absent on the last',
    "Location": "where the new transfer is",
    "Repr-Digest": "SHA-256 of the file as received (RFC 9530)",
    "Retry-After": "seconds to wait",
    "WWW-Authenticate": "what to come back with (RFC 6750 section 3)",
    "X-Request-Id": "names the request in the gateway's logs",
}
ANYWHERE: Final = ("malformed-request", "expectation", "internal", "broken-promise", "store", "not-initialised")
CLOSED: Final = ("not-authenticated", "invalid-token", "not-permitted")
_PLACEHOLDER: Final = re.compile(r"\{([a-z]+)\}")


def make_document(catalogue: Catalogue, table: Iterable[Row] = TABLE) -> bytes:
    """The document as JSON."""
    return json.dumps(_Drawing(catalogue).document(tuple(table)), ensure_ascii=False, indent=1).encode()


class _Drawing:
    """One drawing of the document.

    Args:
        catalogue: The texts of problems.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._answered: dict[str, Any] = {}
        self._asked: dict[str, Any] = {}

    def document(self, table: tuple[Row, ...]) -> Schema:
        paths: dict[str, Schema] = {}
        for row in table:
            if row.name in OPERATIONS and not row.protocol:
                paths.setdefault(row.path, {})[row.method.lower()] = self._operation(row, OPERATIONS[row.name])
        return {
            "openapi": "3.1.1",
            "info": {
                "title": "hetao-gateway",
                "version": version("hetao-gateway"),
                "description": ABOUT,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "tags": [{"name": tag} for tag in dict.fromkeys(each.tag for each in OPERATIONS.values())],
            "paths": paths,
            "components": {"securitySchemes": dict(SECURITY), "schemas": self._schemas()},
            "x-protocols": _protocols(table),
            "x-problem-types": {TYPE + code: self._problem_type(code) for code in sorted(STATUS)},
        }

    def _operation(self, row: Row, operation: Operation) -> Schema:
        drawn: Schema = {
            "operationId": row.name,
            "tags": [operation.tag],
            "summary": operation.summary,
            "parameters": [*self._path_parameters(row), *self._query(operation), *_header_parameters(operation)],
            "responses": self._responses(row, operation),
            "security": [] if row.open else _security(row),
        }
        if operation.about:
            drawn["description"] = operation.about
        if operation.body:
            drawn["requestBody"] = self._body(operation.body)
        return drawn

    def _path_parameters(self, row: Row) -> list[Schema]:
        return [
            {"name": name, "in": "path", "required": True, "schema": schema_of(PATHS[name], self._asked)}
            for name in _PLACEHOLDER.findall(row.path)
        ]

    def _query(self, operation: Operation) -> list[Schema]:
        named, required = members(operation.query)
        return [
            {
                "name": name,
                "in": "query",
                "required": name in required,
                "schema": schema_of(kind, self._asked),
                "style": "form",
                "explode": True,
            }
            for name, kind in named.items()
        ]

    def _body(self, body: Body) -> Schema:
        schema: Schema = schema_of(body.model, self._asked, closed=True) if body.model else {}
        return {"required": body.required, "content": {body.media: {"schema": schema}}}

    def _responses(self, row: Row, operation: Operation) -> Schema:
        codes = (*operation.problems, *ANYWHERE, *(() if row.open else CLOSED))
        responses = {str(answer.status): self._good(answer) for answer in operation.answers}
        for status in sorted({STATUS[code] for code in codes}):
            problem = self._bad(status, [code for code in dict.fromkeys(codes) if STATUS[code] == status])
            if str(status) in responses:  # the same status with another body, as at the token endpoint
                responses[str(status)]["content"] |= problem["content"]
            else:
                responses[str(status)] = problem
        return responses

    def _good(self, answer: Answer) -> Schema:
        drawn: Schema = {"description": answer.about, "headers": _headers("X-Request-Id", *answer.headers)}
        if answer.media:
            plain: Schema = {"type": "string"}
            schema = schema_of(answer.model, self._answered) if answer.model else plain
            drawn["content"] = {
                media: {"schema": schema if media.endswith("json") else plain} for media in answer.media
            }
        if answer.events:
            drawn["x-events"] = {kind: schema_of(model, self._answered) for kind, model in answer.events.items()}
        return drawn

    def _bad(self, status: int, codes: list[str]) -> Schema:
        self._answered.setdefault(title_of(models.ProblemShown), models.ProblemShown)
        also = {401: ("WWW-Authenticate",), 403: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}
        return {
            "description": "; ".join(self._catalogue.text(f"problem.{code}", "en") for code in codes),
            "headers": _headers("X-Request-Id", *also.get(status, ())),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": REFERENCE + title_of(models.ProblemShown)},
                    "examples": {code: {"value": self._example(code)} for code in codes},
                }
            },
        }

    def _example(self, code: str) -> Schema:
        told = self._problem_type(code)
        return {
            "type": TYPE + code,
            "title": told["title"],
            "status": told["status"],
            "instance": "urn:hetao:request:0123456789abcdef",
            "code": code,
            "remedy": told["remedy"],
            "retry": told["status"] in {503, 507},
        }

    def _problem_type(self, code: str) -> Schema:
        title, remedy = (self._catalogue.text(f"{part}.{code}", "en") for part in ("problem", "remedy"))
        return {"status": STATUS[code], "title": title, "remedy": remedy}

    def _schemas(self) -> Schema:
        """Every model that was met, and those they name in turn."""
        drawn: Schema = {}
        for found, closed in ((self._asked, True), (self._answered, False)):
            while missing := [name for name in found if name not in drawn]:
                for name in missing:
                    drawn[name] = object_of(found[name], found, closed=closed)
        return dict(sorted(drawn.items()))


def _security(row: Row) -> list[Schema]:
    return [{name: [str(row.permission)] if scheme["type"] == "oauth2" else []} for name, scheme in SECURITY.items()]


def _header_parameters(operation: Operation) -> list[Schema]:
    return [
        {
            "name": name,
            "in": "header",
            "description": REQUEST_HEADERS[name][0],
            "schema": {"type": "string"},
            "example": REQUEST_HEADERS[name][1],
        }
        for name in (*operation.headers, "Accept-Language")
    ]


def _headers(*names: str) -> Schema:
    return {name: {"description": ANSWER_HEADERS[name], "schema": {"type": "string"}} for name in names}


def _protocols(table: tuple[Row, ...]) -> dict[str, list[str]]:
    """Rows of other standards, by the standard."""
    named: dict[str, list[str]] = {}
    for row in table:
        if row.protocol:
            named.setdefault(row.protocol, []).append(f"{row.method} {row.path}")
    return named
