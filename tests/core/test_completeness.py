"""Completeness: nothing but the full set completes, by each rule; each input is taken away in turn."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.core.completeness import SETTLE, Complete, Draft, Waiting, judge, parse_note
from gateway.core.manifests import manifest_kind, read_manifest
from gateway.stores.locales import load_catalogue
from tests.wire.test_rocrate import crate, file

NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
BAGIT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
PAYLOAD = {"data/a.csv": b"island,birds\n", "data/2026/b.csv": b"b"}
OXUM = f"Payload-Oxum: {sum(map(len, PAYLOAD.values()))}.{len(PAYLOAD)}\n".encode()


def sha(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def listing(files, algorithm="sha256"):
    return "".join(f"{hashlib.new(algorithm, each).hexdigest()}  {path}\n" for path, each in files.items()).encode()


def bag(payload=PAYLOAD, **others):
    """A bag with everything; `others` replaces files, by name with `_` for `-` and without `.txt`; None leaves one out."""
    files = {**payload, "bagit.txt": BAGIT, "bag-info.txt": OXUM, "manifest-sha256.txt": listing(payload)}
    given = {f"{name.replace('_', '-')}.txt": content for name, content in others.items()}
    files |= given
    files = {path: content for path, content in files.items() if content is not None}
    if "tagmanifest-sha256.txt" not in given:
        files["tagmanifest-sha256.txt"] = listing({path: each for path, each in files.items() if "/" not in path})
    return files


def crated(files, *entities):
    listed = entities or [file(path, sha256=sha(content).hex()) for path, content in files.items()]
    return {**files, "ro-crate-metadata.json": json.dumps(crate(*listed)).encode()}


def draft(files, **changes):
    given = Draft(
        files={path: (len(content), sha(content)) for path, content in files.items()},
        manifests=[
            read_manifest(path, content, sha(content)) for path, content in files.items() if manifest_kind(path)
        ],
        declared=True,
        unfinished=0,
        connected=False,
        lost_at=None,
        changed_at=NOW - SETTLE,
        now=NOW,
        quiet=None,
    )
    return replace(given, **changes)


def code(found) -> str:
    return found.code if isinstance(found, Waiting) else f"complete by {found.by}"


WHOLE = {
    "bag": draft(bag()),
    "ro-crate": draft(crated({"a.csv": b"a", "b/c.csv": b"c"})),
    "quiet-time": draft({"a.csv": b"a"}, quiet=timedelta(minutes=5), changed_at=NOW - timedelta(minutes=5)),
}


@pytest.mark.parametrize("by", WHOLE)
def test_the_full_set_completes(by):
    assert judge(WHOLE[by]) == Complete(by)


HOLDS = {
    "an upload": ({"unfinished": 1}, "upload-open"),
    "no declaration": ({"declared": False}, "not-declared"),
    "no files": ({"files": {}, "manifests": []}, "no-files"),
    "a write just now": ({"changed_at": NOW - SETTLE + timedelta(microseconds=1)}, "just-written"),
    "a clock set back": ({"changed_at": NOW + timedelta(days=1)}, "just-written"),
}


@pytest.mark.parametrize("by", WHOLE)
@pytest.mark.parametrize("amiss", HOLDS)
def test_what_holds_every_rule(by, amiss):
    change, says = HOLDS[amiss]
    assert code(judge(replace(WHOLE[by], **change))) == says


@pytest.mark.parametrize("by", WHOLE)
@pytest.mark.parametrize("name", ["x.filepart", "data/x.part", "x.1a2b3c4d.partial", "x.tmp"])
def test_a_temporary_name_holds_every_rule(by, name):
    files = {**WHOLE[by].files, name: (1, sha(b"x"))}
    assert code(judge(replace(WHOLE[by], files=files))) == "temporary-names"


@pytest.mark.parametrize("by", ["bag", "ro-crate"])
def test_a_connection_that_is_open_or_was_lost_does_not_hold_a_manifest(by):
    assert judge(replace(WHOLE[by], connected=True, lost_at=NOW)) == Complete(by)


@pytest.mark.parametrize("by", ["bag", "ro-crate"])
def test_every_file_is_needed(by):
    """Each file taken away alone: nothing completes but what needs not be there."""
    whole = WHOLE[by]
    for path in whole.files:
        files = {other: about for other, about in whole.files.items() if other != path}
        manifests = [each for each in whole.manifests if each.path != path]
        found = judge(replace(whole, files=files, manifests=manifests))
        if path == "tagmanifest-sha256.txt":
            assert found == Complete("bag"), path
        else:
            assert isinstance(found, Waiting), path


@pytest.mark.parametrize("by", ["bag", "ro-crate"])
def test_every_file_must_be_the_one_listed(by):
    whole = WHOLE[by]
    for path, (size, _) in whole.files.items():
        found = judge(replace(whole, files={**whole.files, path: (size, sha(b"other"))}))
        assert isinstance(found, Waiting), path


@pytest.mark.parametrize("by", ["bag", "ro-crate"])
def test_every_manifest_must_have_been_read(by):
    whole = WHOLE[by]
    for gone in whole.manifests:
        rest = [each for each in whole.manifests if each is not gone]
        assert code(judge(replace(whole, manifests=rest))) == "manifest-unread", gone.path


def test_a_manifest_read_of_a_file_that_is_gone_completes_nothing():
    whole = draft(bag())
    assert code(judge(replace(draft(PAYLOAD), manifests=whole.manifests))) == "nothing-tells"


# --- bags ------------------------------------------------------------------------------------------------------------

TWO = {**PAYLOAD, "data/c": b"c"}
BAGS = [
    ("whole", bag(), "complete by bag"),
    ("no tag manifest", bag(tagmanifest_sha256=None), "complete by bag"),
    ("no bag-info", bag(bag_info=None), "complete by bag"),
    ("a declaration and other tag files", {**bag(), "declaration.toml": b"", "notes/x": b""}, "complete by bag"),
    ("a second algorithm", bag(manifest_sha512=listing(PAYLOAD, "sha512")), "complete by bag"),
    ("md5 alone", bag(manifest_sha256=None, manifest_md5=listing(PAYLOAD, "md5")), "no-sha256"),
    ("no manifest", bag(manifest_sha256=None), "no-sha256"),
    (
        "tags by md5 alone",
        bag(tagmanifest_md5=listing({"bagit.txt": BAGIT}, "md5"), tagmanifest_sha256=None),
        "no-sha256",
    ),
    ("no bagit.txt", bag(bagit=None), "no-bagit-txt"),
    ("bagit.txt alone", {"bagit.txt": BAGIT}, "no-sha256"),
    ("another encoding", bag(bagit=BAGIT.replace(b"UTF-8", b"UTF-16")), "manifest-unread"),
    ("fetch.txt", bag(fetch=b""), "bag-remote"),
    ("a payload file missing", bag(manifest_sha256=listing(TWO)), "file-missing"),
    ("a payload file not listed", bag(TWO, manifest_sha256=listing(PAYLOAD), bag_info=None), "file-unlisted"),
    (
        "not listed by the other algorithm",
        bag(TWO, manifest_md5=listing(PAYLOAD, "md5"), bag_info=None),
        "file-unlisted",
    ),
    ("missing by the other algorithm", bag(manifest_md5=listing(TWO, "md5")), "file-missing"),
    ("another digest", bag(manifest_sha256=listing({**PAYLOAD, "data/a.csv": b"z"})), "digest-differs"),
    ("listed twice", bag(manifest_sha256=listing(PAYLOAD) * 2), "manifest-unread"),
    ("a list cut off", bag(manifest_sha256=listing(PAYLOAD)[:-10]), "file-missing"),
    ("a list cut off in a digest", bag(manifest_sha256=listing(PAYLOAD)[:100]), "manifest-unread"),
    ("an empty list", bag({}, manifest_sha256=b"", bag_info=None), "nothing-listed"),
    ("a tag missing", bag(tagmanifest_sha256=listing({"gone.txt": b"", "manifest-sha256.txt": b""})), "file-missing"),
    ("a tag that differs", bag(tagmanifest_sha256=listing({"bagit.txt": b"x"})), "digest-differs"),
    ("a manifest that no tag manifest lists", bag(tagmanifest_sha256=listing({"bagit.txt": BAGIT})), "file-unlisted"),
    ("an empty tag manifest", bag(tagmanifest_sha256=b""), "nothing-listed"),
    ("other sums", bag(bag_info=b"Payload-Oxum: 1.2\n"), "oxum-differs"),
    ("sums of other files", bag(bag_info=OXUM.replace(b".2", b".3")), "oxum-differs"),
    ("sums nobody can read", bag(bag_info=b"Payload-Oxum: many\n"), "manifest-unread"),
    ("one algorithm twice", {**bag(), "manifest-SHA256.txt": listing(PAYLOAD)}, "manifest-twice"),
    ("in a folder", {f"mine/{path}": content for path, content in bag().items()}, "nothing-tells"),
    ("a crate in a bag that is not whole", {**crated({}), **bag(manifest_sha256=listing(TWO))}, "file-missing"),
]


@pytest.mark.parametrize(("files", "says"), [each[1:] for each in BAGS], ids=[each[0] for each in BAGS])
def test_bags(files, says):
    assert code(judge(draft(files))) == says
    patient = draft(files, quiet=timedelta(minutes=1), changed_at=NOW - timedelta(days=1))
    assert code(judge(patient)) == says.replace("nothing-tells", "complete by quiet-time"), (
        "quiet time overtakes no bag"
    )


def test_what_is_missing_is_told():
    found = judge(draft(bag(manifest_sha256=listing({**TWO, "data/d": b""}))))
    assert found == Waiting("file-missing", {"count": 2, "first": "data/c", "file": "manifest-sha256.txt"})


def test_a_listed_name_cannot_write_lines_of_its_own():
    found = judge(draft(bag(manifest_sha256=listing(PAYLOAD) + listing({"data/a%0Ab\u202ec": b""}))))
    assert isinstance(found, Waiting)
    assert found.about["first"] == "data/a\ufffdb\ufffdc"


# --- crates ----------------------------------------------------------------------------------------------------------

A = {"a.csv": b"a"}
CRATES = [
    ("whole", crated(A), "complete by ro-crate"),
    ("a preview and a declaration", {**crated(A), "ro-crate-preview.html": b"", "ro-crate-preview_files/x.png": b"",
                                     "declaration.toml": b""}, "complete by ro-crate"),
    ("a file on the web beside", crated(A, file("a.csv", sha256=sha(b"a").hex()), file("https://x.org/b")),
     "complete by ro-crate"),
    ("no digest", crated(A, file("a.csv")), "crate-without-sha256"),
    ("one without digest", crated({**A, "b": b""}, file("a.csv", sha256=sha(b"a").hex()), file("b")),
     "crate-without-sha256"),
    ("another digest", crated(A, file("a.csv", sha256=sha(b"b").hex())), "digest-differs"),
    ("a file missing", crated(A, file("a.csv", sha256=sha(b"a").hex()), file("b", sha256=sha(b"").hex())),
     "file-missing"),
    ("a file not described", {**crated(A), "b": b""}, "file-unlisted"),
    ("nothing described", crated({}), "nothing-listed"),
    ("no crate", {**A, "ro-crate-metadata.json": b"{}"}, "manifest-unread"),
    ("manifests of a bag beside", {**crated(A), "manifest-sha256.txt": listing({"data/x": b""})}, "no-bagit-txt"),
    ("neither", A, "nothing-tells"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "says"), [each[1:] for each in CRATES], ids=[each[0] for each in CRATES])
def test_crates(files, says):
    assert code(judge(draft(files))) == says
    patient = draft(files, quiet=timedelta(minutes=1), changed_at=NOW - timedelta(days=1))
    counts_not = says in {"nothing-tells", "crate-without-sha256"}
    assert code(judge(patient)) == ("complete by quiet-time" if counts_not else says)


# --- quiet time ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"quiet": None}, "nothing-tells"),
        ({"changed_at": NOW - timedelta(minutes=5, microseconds=-1)}, "quiet-time"),
        ({"connected": True}, "connected"),
        ({"lost_at": NOW}, "connection-lost"),
        ({"lost_at": NOW - timedelta(minutes=5)}, "connection-lost"),
        ({"lost_at": NOW - timedelta(minutes=5, microseconds=1)}, "complete by quiet-time"),
        ({"lost_at": NOW - timedelta(minutes=6), "connected": True}, "connected"),
    ],
)
def test_what_holds_quiet_time(change, says):
    assert code(judge(replace(WHOLE["quiet-time"], **change))) == says


@pytest.mark.parametrize(
    ("changed_at", "until"),
    [
        (NOW - timedelta(seconds=4), NOW + timedelta(seconds=6)),
        (NOW - timedelta(minutes=2), NOW + timedelta(minutes=3)),
    ],
)
def test_when_only_time_is_missing_it_is_told_until_when(changed_at, until):
    found = judge(replace(WHOLE["quiet-time"], changed_at=changed_at))
    assert isinstance(found, Waiting)
    assert found.until == until
    assert judge(replace(WHOLE["quiet-time"], changed_at=changed_at, now=until)) != found
    assert isinstance(judge(replace(WHOLE["bag"], changed_at=changed_at, now=until)), Complete)


# --- what is told ----------------------------------------------------------------------------------------------------


def test_a_note_goes_round_and_other_reasons_are_none():
    waiting = Waiting("file-missing", {"count": 2, "first": "data/鸟", "file": "manifest-sha256.txt"})
    assert parse_note(waiting.note(NOW)) == (waiting, NOW)
    for other in ("", "the database is away", "{}", "[]", '"x"', '{"waits":"x","about":{},"since":"soon"}', "null"):
        assert parse_note(other) is None


def test_every_code_has_its_texts_in_every_language():
    """Codes are taken from what the tables above reach, so that a text that does not fit is found here."""
    catalogue = load_catalogue()
    reached = [judge(draft(files)) for _, files, _ in [*BAGS, *CRATES]]
    reached += [judge(replace(WHOLE["quiet-time"], **change)) for change, _ in HOLDS.values()]
    reached += [judge(replace(WHOLE["quiet-time"], **change)) for change in ({"connected": True}, {"lost_at": NOW})]
    reached += [judge(replace(WHOLE["quiet-time"], changed_at=NOW - 2 * SETTLE)), judge(draft({"a.part": b""}))]
    reached += [Waiting("may-not-submit", {}), Waiting("cannot-submit", {"why": "x"})]
    waiting = {each.code: each for each in reached if isinstance(each, Waiting)}
    assert {f"waiting.{each}" for each in waiting} == {each for each in catalogue.ids() if each.startswith("waiting.")}
    assert {f"awaited.{each}" for each in waiting} == {each for each in catalogue.ids() if each.startswith("awaited.")}
    for each in waiting.values():
        for language in ("en", "zh-Hans", "zh-Hant"):
            assert catalogue.text(f"waiting.{each.code}", language, **each.about)
            assert catalogue.text(f"awaited.{each.code}", language)
