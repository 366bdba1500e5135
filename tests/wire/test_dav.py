"""WebDAV's XML: what clients send is read or refused, and what is written is well-formed whatever it holds."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import Malformed, dav
from gateway.wire.dav import Asked, LockInfo, Name, PropStat, Update

RCLONE = b"""<?xml version="1.0" encoding="utf-8"?>
<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop><d:displayname/><d:getlastmodified/>
<d:getcontentlength/><d:resourcetype/><d:getcontenttype/><oc:checksums/></d:prop></d:propfind>"""
EXPLORER = (
    b'<?xml version="1.0" encoding="utf-8" ?><D:propertyupdate xmlns:D="DAV:" xmlns:Z="urn:schemas-microsoft-com:"><D:set>'
    b"<D:prop><Z:Win32LastModifiedTime>Tue, 14 Nov 2023 22:13:20 GMT</Z:Win32LastModifiedTime></D:prop></D:set>"
    b"</D:propertyupdate>"
)
FINDER = (
    b'<?xml version="1.0" encoding="utf-8"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype>'
    b"<D:write/></D:locktype><D:owner><D:href>http://www.apple.com/webdav_fs/</D:href></D:owner></D:lockinfo>"
)


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        (b"", Asked("allprop")),
        (b'<propfind xmlns="DAV:"><allprop/></propfind>', Asked("allprop")),
        (b'<propfind xmlns="DAV:"><propname/></propfind>', Asked("propname")),
        (
            b'<propfind xmlns="DAV:" xmlns:x="u:x"><allprop/><include><x:a/></include></propfind>',
            Asked("allprop", (Name("u:x", "a"),)),
        ),
        (b'<propfind xmlns="DAV:"><unknown/><prop><a xmlns=""/></prop></propfind>', Asked("prop", (Name("", "a"),))),
        (
            '<?xml version="1.0" encoding="utf-16"?><propfind xmlns="DAV:"><prop><e/></prop></propfind>'.encode(
                "utf-16"
            ),
            Asked("prop", (Name("DAV:", "e"),)),
        ),
    ],
)
def test_a_propfind_asks_for_this(body: bytes, asked: Asked) -> None:
    assert dav.parse_propfind(body) == asked


def test_what_clients_send_is_read() -> None:
    assert [name.local for name in dav.parse_propfind(RCLONE).names][-1] == "checksums"
    time = Name("urn:schemas-microsoft-com:", "Win32LastModifiedTime")
    assert dav.parse_proppatch(EXPLORER) == (Update(time, "Tue, 14 Nov 2023 22:13:20 GMT"),)
    owner = "<D:href>http://www.apple.com/webdav_fs/</D:href>"
    assert dav.parse_lockinfo(FINDER) == LockInfo(exclusive=True, owner=owner)


def test_a_proppatch_keeps_its_order() -> None:
    body = b'<propertyupdate xmlns="DAV:"><remove><prop><a/></prop></remove><set><prop><b> 1 </b></prop></set></propertyupdate>'
    assert dav.parse_proppatch(body) == (Update(Name("DAV:", "a"), None), Update(Name("DAV:", "b"), "1"))


NESTED = b"<a>" * 17 + b"</a>" * 17
LAUGHS = b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><propfind xmlns="DAV:"><allprop/>&b;</propfind>'
OUTSIDE = b'<!DOCTYPE l SYSTEM "file:///etc/passwd"><propfind xmlns="DAV:"><allprop/></propfind>'


@pytest.mark.parametrize(
    "body",
    [
        b"<",
        b"x",
        b"<a></b>",
        b"<a/><b/>",
        LAUGHS,
        OUTSIDE,
        NESTED,
        b"<a>" + b"<b/>" * 1_000 + b"</a>",
        b"<a>" + b"x" * 65_536 + b"</a>",
        b'<?xml version="1.0" encoding="cp037"?><a/>',
        b'<?xml version="1.0" encoding="shift_jis"?><a/>',
        b'<a xmlns:x=""/>',
        b"<x:a/>",
        b"<a>\xff</a>",
        b"<a>&#0;</a>",
        b"<a>&other;</a>",
    ],
)
def test_what_is_not_read(body: bytes) -> None:
    for parse in (dav.parse_xml, dav.parse_propfind, dav.parse_proppatch, dav.parse_lockinfo):
        with pytest.raises(Malformed):
            parse(body)


@pytest.mark.parametrize(
    ("parse", "body"),
    [
        (dav.parse_propfind, b'<propfind xmlns="DAV:"><allprop/><propname/></propfind>'),
        (dav.parse_propfind, b'<propfind xmlns="dav:"><allprop/></propfind>'),
        (
            dav.parse_propfind,
            b'<propfind xmlns="DAV:"><prop>%s</prop></propfind>' % b"".join(b"<p%d/>" % each for each in range(101)),
        ),
        (dav.parse_proppatch, b'<propertyupdate xmlns="DAV:"><set/></propertyupdate>'),
        (dav.parse_lockinfo, FINDER.replace(b"<D:write/>", b"")),
        (dav.parse_lockinfo, FINDER.replace(b"<D:exclusive/>", b"<D:exclusive/><D:shared/>")),
        (dav.parse_lockinfo, FINDER.replace(b"webdav_fs", b"x" * 1_100)),
    ],
)
def test_well_formed_is_not_enough(parse, body: bytes) -> None:
    with pytest.raises(Malformed):
        parse(body)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_malformed(body: bytes) -> None:
    for prefix in (b"", b'<propfind xmlns="DAV:"><prop>', b'<?xml version="1.0"?><a b="'):
        try:
            dav.parse_xml(prefix + body)
        except Malformed:
            continue


TEXT = st.text(st.characters(codec=None), max_size=40)


@given(TEXT, TEXT, TEXT)
def test_whatever_is_written_is_well_formed_and_says_the_same(href: str, value: str, namespace: str) -> None:
    namespace = namespace.replace("}", "") or "urn:x"  # expat's own separator in the reader of this test
    groups = [PropStat(200, [(Name(namespace, "a"), dav.escape(value))]), PropStat(404, [])]
    text = dav.BEGIN + dav.response(href, groups) + dav.outcome(href, 423) + dav.END
    root = ET.fromstring(text.encode())
    written = "".join(
        each
        if each in "\t\n\r" or (each >= " " and not "\ud800" <= each <= "\udfff" and each not in "\ufffe\uffff")
        else "\ufffd"
        for each in value
    )
    found = root.find("{DAV:}response/{DAV:}propstat/{DAV:}prop")
    assert found is not None
    assert (found[0].text or "") == written
    assert [each.text for each in root.iter("{DAV:}status")] == ["HTTP/1.1 200 OK", "HTTP/1.1 423 Locked"]


def test_an_owner_comes_back_as_it_was_meant() -> None:
    info = dav.parse_lockinfo(FINDER.replace(b"<D:href>", b'<x a="1" xmlns="u:&quot;&amp;">a &lt; b</x><D:href>'))
    lock = dav.active_lock(token="urn:uuid:1", root="/dav/a%26", deep=True, owner=info.owner, seconds=5)
    body = dav.prop_body(Name("DAV:", "lockdiscovery"), lock)
    owner = ET.fromstring(body).find(".//{DAV:}owner")
    assert owner is not None
    assert [(each.tag, each.text) for each in owner] == [
        ('{u:"&}x', "a < b"),
        ("{DAV:}href", "http://www.apple.com/webdav_fs/"),
    ]


def test_an_error_names_its_condition_and_places() -> None:
    root = ET.fromstring(dav.error_body("lock-token-submitted", ["/dav/a", "/dav/<"]))
    assert [each.text for each in root.find("{DAV:}lock-token-submitted") or ()] == ["/dav/a", "/dav/<"]


def test_a_response_without_properties_has_a_status_all_the_same() -> None:
    root = ET.fromstring((dav.BEGIN + dav.response("/dav/", []) + dav.END).encode())
    assert root.findtext(".//{DAV:}status") == "HTTP/1.1 200 OK"
