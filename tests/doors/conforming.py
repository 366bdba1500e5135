"""Holds the door's answers against its own document: every status told, every body of the model's form, and of no other."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from openapi_schema_validator import OAS31Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from gateway.doors.https.guard import TABLE
from gateway.doors.https.openapi import make_document
from gateway.stores.locales import load_catalogue

BASE = "urn:document"


@cache
def document() -> dict[str, Any]:
    return json.loads(make_document(load_catalogue()))


@cache
def closed() -> dict[str, Any]:
    """The document, with every model closed: an answer may say nothing that is not written down."""
    drawn = json.loads(json.dumps(document()))
    for name, schema in drawn["components"]["schemas"].items():
        if schema["type"] == "object" and name != "FileShown":
            schema["additionalProperties"] = False
    return drawn


@cache
def _registry() -> Registry:
    return Registry().with_resource(BASE, Resource(closed(), DRAFT202012))


STANDARDS = frozenset(row.path for row in TABLE if row.protocol)


def _template(path: str) -> str:
    for row in TABLE:
        pattern = re.sub(r"{\w+}", lambda found: ".+" if found[0] == "{path}" else "[^/]+", row.path)
        if re.fullmatch(pattern, path):
            return row.path
    return ""


def check(method: str, path: str, status: int, headers: Any, body: bytes) -> None:
    """Assert that an answer is one the document tells of; paths and methods that are not there are not."""
    if _template(path) in STANDARDS:
        return  # another standard's protocol: its own tests hold it
    operation = document()["paths"].get(_template(path), {}).get(method.lower().replace("head", "get"))
    if operation is None:
        assert status in {401, 404, 405}, (method, path, status)
        return
    assert str(status) in operation["responses"], f"{method} {path} answers {status}, which the document does not tell"
    told = operation["responses"][str(status)]
    kind = headers.get("Content-Type", "").split(";")[0]
    if "content" not in told or method == "HEAD" or status == 204:
        return
    assert kind in told["content"], f"{method} {path} answers {status} as {kind}"
    if not kind.endswith("json"):
        return
    schema = _absolute(told["content"][kind]["schema"])
    faults = [
        f"{fault.json_path}: {fault.message}"
        for fault in OAS31Validator(schema, registry=_registry()).iter_errors(json.loads(body))
    ]
    assert not faults, f"{method} {path} {status}: {faults}"


def _absolute(schema: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(schema).replace('"#/', f'"{BASE}#/'))
