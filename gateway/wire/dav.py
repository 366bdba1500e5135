"""WebDAV's XML (RFC 4918): request bodies of PROPFIND, PROPPATCH and LOCK in, multistatus and error bodies out.

What it is not: the header fields (`dav_headers`), or what a property means.

A change must keep these:
1. A document type declaration ends the parsing: so there are no entities, no external things and nothing that grows.
2. Size, depth and number of elements are bounded. Unknown elements are passed over, as RFC 4918 section 17 asks.
3. What is written is well-formed whatever a text holds: everything is escaped, what XML has no form for is replaced.
4. A multistatus is written answer by answer, so that a large folder is never one text in memory.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, NoReturn
from xml.parsers import expat

from gateway.wire import Malformed

MAX_BODY: Final = 65_536
MAX_DEPTH: Final = 16
MAX_ELEMENTS: Final = 1_000
MAX_NAMES: Final = 100  # each is answered for every file of a folder
MAX_OWNER: Final = 1_024
DAV: Final = "DAV:"
CONTENT_TYPE: Final = 'application/xml; charset="utf-8"'

_DECLARATION: Final = '<?xml version="1.0" encoding="utf-8"?>\n'
BEGIN: Final = f'{_DECLARATION}<D:multistatus xmlns:D="DAV:">'
END: Final = "</D:multistatus>\n"
# XML 1.0 section 2.2: what may not stand in a document in any form.
_UNWRITABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"})
_REASONS: Final = {
    200: "OK",
    201: "Created",
    204: "No Content",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    413: "Content Too Large",
    423: "Locked",
    424: "Failed Dependency",
    507: "Insufficient Storage",
}


class Name(NamedTuple):
    """An expanded name: namespace and local part."""

    namespace: str
    local: str


@dataclass
class Element:
    """An element as far as WebDAV needs it: attributes and the place of text among children are not kept."""

    name: Name
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def child(self, local: str) -> Element | None:
        """The first child of this name in the DAV: namespace."""
        return next((each for each in self.children if each.name == Name(DAV, local)), None)


@dataclass(frozen=True)
class Asked:
    """What a PROPFIND asks for.

    Attributes:
        kind: `prop`, `allprop` or `propname`.
        names: Of `prop` the properties, of `allprop` those that are wanted as well.
    """

    kind: str
    names: tuple[Name, ...] = ()


@dataclass(frozen=True)
class Update:
    """One property of a PROPPATCH; `value` is None where it is to be removed."""

    name: Name
    value: str | None


@dataclass(frozen=True)
class LockInfo:
    """What a LOCK asks for; `owner` is XML."""

    exclusive: bool
    owner: str


@dataclass(frozen=True)
class PropStat:
    """Properties with one status; each is a name and its content as XML."""

    status: int
    properties: Sequence[tuple[Name, str]]


# --- reading ---------------------------------------------------------------------------------------------------------


def parse_propfind(body: bytes) -> Asked:
    """A PROPFIND body (section 14.20); an empty one asks for everything.

    Raises:
        Malformed: No such document, or a bound is passed.
    """
    if not body:
        return Asked("allprop")
    root = _root(body, "propfind")
    kinds = [kind for kind in ("prop", "allprop", "propname") if root.child(kind) is not None]
    if len(kinds) != 1:
        raise Malformed("propfind holds exactly one of prop, allprop and propname")
    named = root.child("include" if kinds[0] == "allprop" else "prop")
    names = dict.fromkeys(each.name for each in named.children) if named else {}
    if len(names) > MAX_NAMES:
        raise Malformed(f"a propfind asks for at most {MAX_NAMES} properties")
    return Asked(kinds[0], tuple(names))


def parse_proppatch(body: bytes) -> tuple[Update, ...]:
    """A PROPPATCH body (section 14.19), in the order it is written.

    Raises:
        Malformed: No such document, nothing to do, or a bound is passed.
    """
    updates: list[Update] = []
    for action in _root(body, "propertyupdate").children:
        named = action.child("prop")
        if action.name not in {Name(DAV, "set"), Name(DAV, "remove")} or named is None:
            continue
        keep = action.name.local == "set"
        updates += [Update(each.name, each.text.strip() if keep else None) for each in named.children]
    if not updates:
        raise Malformed("propertyupdate sets or removes at least one property")
    return tuple(updates)


def parse_lockinfo(body: bytes) -> LockInfo:
    """A LOCK body (section 14.11).

    Raises:
        Malformed: No such document, no write lock, or a bound is passed.
    """
    root = _root(body, "lockinfo")
    scope, kind, owner = root.child("lockscope"), root.child("locktype"), root.child("owner")
    if scope is None or kind is None or kind.child("write") is None:
        raise Malformed("lockinfo holds a lockscope and the locktype write")
    if (scope.child("exclusive") is None) == (scope.child("shared") is None):
        raise Malformed("lockscope is exclusive or shared")
    told = escape(owner.text) + "".join(_written(each) for each in owner.children) if owner else ""
    if len(told) > MAX_OWNER:
        raise Malformed(f"the owner of a lock has at most {MAX_OWNER} characters")
    return LockInfo(scope.child("exclusive") is not None, told)


def _root(body: bytes, local: str) -> Element:
    root = parse_xml(body)
    if root.name != Name(DAV, local):
        raise Malformed(f"the document is not a DAV: {local}")
    return root


def parse_xml(body: bytes) -> Element:
    """A document's root element.

    Raises:
        Malformed: Not well-formed, with a document type, or over a bound.
    """
    if len(body) > MAX_BODY:
        raise Malformed(f"an XML body has at most {MAX_BODY} bytes")
    builder = _Builder()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    handlers: dict[str, Any] = {
        "StartElementHandler": builder.start,
        "EndElementHandler": builder.end,
        "CharacterDataHandler": builder.text,
        "StartDoctypeDeclHandler": _refuse,
        "EntityDeclHandler": _refuse,
        "ExternalEntityRefHandler": _refuse,
        "UnknownEncodingHandler": _refuse,
    }
    for name, handler in handlers.items():
        if hasattr(parser, name):
            setattr(parser, name, handler)
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError, LookupError) as wrong:
        if isinstance(wrong, Malformed):
            raise
        raise Malformed(f"not well-formed XML: {wrong}") from wrong
    assert builder.root is not None, "a document has a root"
    return builder.root


def _refuse(*_given: object) -> NoReturn:
    raise Malformed("document types and entities are not read")


class _Builder:
    """Elements as the parser meets them."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._count = 0

    def start(self, name: str, _attributes: object) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS or len(self._open) >= MAX_DEPTH:
            raise Malformed(f"a document has at most {MAX_ELEMENTS} elements, {MAX_DEPTH} deep")
        namespace, _, local = name.rpartition(" ")
        element = Element(Name(namespace, local))
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def end(self, _name: str) -> None:
        self._open.pop()

    def text(self, data: str) -> None:
        if self._open:
            self._open[-1].text += data


# --- writing ---------------------------------------------------------------------------------------------------------


def escape(text: str) -> str:
    """Text as it may stand in an element or an attribute; U+FFFD for what XML cannot hold."""
    return _UNWRITABLE.sub("\ufffd", text).translate(_ESCAPES)


def element(name: Name, content: str = "") -> str:
    """An element with its content, which is XML already."""
    if name.namespace == DAV:
        opened, closed = f"D:{name.local}", f"D:{name.local}"
    elif name.namespace:
        opened, closed = f'X:{name.local} xmlns:X="{escape(name.namespace)}"', f"X:{name.local}"
    else:
        opened, closed = name.local, name.local
    return f"<{opened}>{content}</{closed}>" if content else f"<{opened}/>"


def response(href: str, groups: Sequence[PropStat]) -> str:
    """One answer of a multistatus, with properties by status (section 14.24); groups without a property are left out."""
    told = "".join(
        f"<D:propstat><D:prop>{''.join(element(*each) for each in group.properties)}</D:prop>"
        f"<D:status>{_status(group.status)}</D:status></D:propstat>"
        for group in groups
        if group.properties
    )
    # A response without any propstat is not of the schema: what asks for nothing finds nothing.
    empty = f"<D:propstat><D:prop/><D:status>{_status(200)}</D:status></D:propstat>"
    return f"<D:response><D:href>{escape(href)}</D:href>{told or empty}</D:response>"


def outcome(href: str, status: int) -> str:
    """One answer of a multistatus that is a status alone."""
    return f"<D:response><D:href>{escape(href)}</D:href><D:status>{_status(status)}</D:status></D:response>"


def error_body(condition: str, hrefs: Sequence[str] = ()) -> bytes:
    """An error body with one pre- or postcondition (section 16), and the places it is about."""
    named = "".join(f"<D:href>{escape(href)}</D:href>" for href in hrefs)
    return f'{_DECLARATION}<D:error xmlns:D="DAV:">{element(Name(DAV, condition), named)}</D:error>\n'.encode()


def prop_body(name: Name, content: str) -> bytes:
    """A document with one property, as LOCK answers (section 9.10.1)."""
    return f'{_DECLARATION}<D:prop xmlns:D="DAV:">{element(name, content)}</D:prop>\n'.encode()


def active_lock(*, token: str, root: str, deep: bool, owner: str, seconds: int) -> str:
    """The content of a `lockdiscovery` for one exclusive write lock (section 14.1); `owner` is XML already."""
    return (
        "<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope><D:exclusive/></D:lockscope>"
        f"<D:depth>{'infinity' if deep else '0'}</D:depth><D:owner>{owner}</D:owner>"
        f"<D:timeout>Second-{seconds}</D:timeout><D:locktoken><D:href>{escape(token)}</D:href></D:locktoken>"
        f"<D:lockroot><D:href>{escape(root)}</D:href></D:lockroot></D:activelock>"
    )


SUPPORTED_LOCK: Final = (
    "<D:lockentry><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>"
)
"""The content of `supportedlock`: exclusive write locks."""


def _status(status: int) -> str:
    return f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}"


def _written(found: Element) -> str:
    return element(found.name, escape(found.text) + "".join(_written(each) for each in found.children))
