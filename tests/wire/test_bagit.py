"""BagIt tag files: the examples of RFC 8493, bagit-python in both directions, and whatever else may stand in a line."""

from __future__ import annotations

import hashlib

import bagit as oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import Malformed, bagit
from gateway.wire.bagit import ManifestName
from tests.wire.damage import damaged, parsed_or_none

PAYLOAD, TAGS = ManifestName(tags=False, algorithm="sha256"), ManifestName(tags=True, algorithm="sha256")
A, B = hashlib.sha256(b"a").digest(), hashlib.sha256(b"b").digest()

# RFC 8493 section 4.1
EXAMPLE = b"""49afbd86a1ca9f34b677a3f09655eae9 data/27613-h/images/q172.png
408ad21d50cef31da4df6d9ed81b01a7 data/27613-h/images/q172.txt
"""
EXAMPLE_INFO = b"""Source-Organization: FOO University
Organization-Address: 1 Main St., Cupertino, California, 11111
Contact-Name: Jane Doe
External-Description: Uncompressed greyscale TIFF images from the
 FOO papers collection.
Bagging-Date: 2008-01-15
Payload-Oxum: 279164409832.1198
"""


def test_the_examples_of_the_standard():
    md5 = bagit.parse_manifest_name("manifest-md5.txt")
    assert md5 == ManifestName(tags=False, algorithm="md5")
    assert bagit.parse_manifest(EXAMPLE, md5) == {
        "data/27613-h/images/q172.png": bytes.fromhex("49afbd86a1ca9f34b677a3f09655eae9"),
        "data/27613-h/images/q172.txt": bytes.fromhex("408ad21d50cef31da4df6d9ed81b01a7"),
    }
    assert bagit.parse_declaration(b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n") == "1.0"
    info = bagit.parse_info(EXAMPLE_INFO)
    assert info[3] == ("External-Description", "Uncompressed greyscale TIFF images from the FOO papers collection.")
    assert bagit.payload_oxum(info) == (279164409832, 1198)
    assert bagit.payload_oxum([("Contact-Name", "x")]) is None


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("manifest-sha256.txt", PAYLOAD),
        ("manifest-SHA256.txt", PAYLOAD),
        ("manifest-SHA-256.txt", PAYLOAD),
        ("tagmanifest-sha256.txt", TAGS),
        ("tagmanifest-md5.txt", ManifestName(tags=True, algorithm="md5")),
        ("manifest-.txt", None),
        ("manifest-sha256.TXT", None),
        ("manifest-sha256.txt.bak", None),
        ("data/manifest-sha256.txt", None),
        ("my-manifest-sha256.txt", None),
        ("manifest-sha256.txt\n", None),
    ],
)
def test_names(name, found):
    assert bagit.parse_manifest_name(name) == found


@pytest.mark.parametrize(
    ("data", "version"),
    [
        (b"BagIt-Version: 0.97\r\nTag-File-Character-Encoding: utf-8\r\n", "0.97"),
        (b"BagIt-Version: 1.0\rTag-File-Character-Encoding: UTF-8", "1.0"),
        (b"BagIt-Version:1.0\nTag-File-Character-Encoding:UTF-8\n", "1.0"),
    ],
)
def test_declarations(data, version):
    assert bagit.parse_declaration(data) == version


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"BagIt-Version: 1.0\n",
        b"Tag-File-Character-Encoding: UTF-8\nBagIt-Version: 1.0\n",
        b"\xef\xbb\xbfBagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
        b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-16\n",
        b"BagIt-Version: 1.0\nTag-File-Character-Encoding: ISO-8859-1\n",
        b"BagIt-Version: one\nTag-File-Character-Encoding: UTF-8\n",
        b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\nMore: x\n",
        b"BagIt-Version: 1.0\n\nTag-File-Character-Encoding: UTF-8\n",
        b"BagIt-Version: 1.0\nTag-File-Character-Encoding: \xff\n",
        b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n" + b" " * 2000,
    ],
)
def test_declarations_that_are_refused(data):
    with pytest.raises(Malformed):
        bagit.parse_declaration(data)


def line(path: str, digest: str = A.hex(), between: str = "  ") -> bytes:
    return f"{digest}{between}{path}\n".encode()


@pytest.mark.parametrize(
    ("data", "entries"),
    [
        (b"", {}),
        (b"\n \n", {}),
        (line("data/a"), {"data/a": A}),
        (line("data/a", between=" *"), {"data/a": A}),
        (line("data/a", between=" "), {"data/a": A}),
        (line("data/a", between="\t"), {"data/a": A}),
        (line("data/a", digest=A.hex().upper()), {"data/a": A}),
        (line("data/a").rstrip(b"\n"), {"data/a": A}),
        (line("data/a").replace(b"\n", b"\r\n") + line("data/b", B.hex()), {"data/a": A, "data/b": B}),
        (line("data/a").replace(b"\n", b"\r") + line("data/b", B.hex()), {"data/a": A, "data/b": B}),
        (line("data/a b  c"), {"data/a b  c": A}),
        (line("data/鸟\u2028\u0085"), {"data/鸟\u2028\u0085": A}),
        (line("data/a%0Ab%0dc%25d"), {"data/a\nb\rc%d": A}),
        (line("data/100%.csv"), {"data/100%.csv": A}),
        (line("data/%2525"), {"data/%25": A}),
        (line("data/*a"), {"data/*a": A}),
    ],
)
def test_entries(data, entries):
    assert bagit.parse_manifest(data, PAYLOAD) == entries


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"data/a\n", PAYLOAD),
        (A.hex().encode() + b"\n", PAYLOAD),
        (A.hex().encode() + b"data/a\n", PAYLOAD),
        (line("data/a", digest=A.hex()[:-1]), PAYLOAD),
        (line("data/a", digest=A.hex()[:32]), PAYLOAD),
        (line("data/a", digest=A.hex()[:-1] + "g"), PAYLOAD),
        (line("data/a", digest="abc"), ManifestName(tags=False, algorithm="blake3")),
        (line("data/a") + line("data/a"), PAYLOAD),
        (line("data/a%25") + line("data/a%"), PAYLOAD),
        (line("bagit.txt"), PAYLOAD),
        (line("/data/a"), PAYLOAD),
        (line("./data/a"), PAYLOAD),
        (line("data/../a"), PAYLOAD),
        (line("data//a"), PAYLOAD),
        (line("data/"), PAYLOAD),
        (line("data\\a"), PAYLOAD),
        (line("data/\ufeff").replace(A.hex().encode(), b"\xef\xbb\xbf" + A.hex().encode()), PAYLOAD),
        (line("data/a").replace(b"a\n", b"\xff\n"), PAYLOAD),
        (line("data/a"), TAGS),
        (line("tagmanifest-md5.txt"), TAGS),
        (b"# a comment\n", PAYLOAD),
    ],
)
def test_manifests_that_are_refused(data, name):
    with pytest.raises(Malformed):
        bagit.parse_manifest(data, name)


def test_bounds():
    two = line("data/a") + line("data/b")
    assert len(bagit.parse_manifest(two, PAYLOAD, max_entries=2, max_size=len(two))) == 2
    with pytest.raises(Malformed, match="more than 1 files"):
        bagit.parse_manifest(two, PAYLOAD, max_entries=1)
    with pytest.raises(Malformed, match="over the bound"):
        bagit.parse_manifest(two, PAYLOAD, max_size=len(two) - 1)


@pytest.mark.parametrize("data", [b" continued\n", b"no label\n", b": value\n", b"A: b\n\xff", b"\xef\xbb\xbfA: b\n"])
def test_infos_that_are_refused(data):
    with pytest.raises(Malformed):
        bagit.parse_info(data)


@pytest.mark.parametrize("said", [["1"], ["1.2.3"], ["-1.2"], ["1.x"], ["1.2", "1.2"], [""]])
def test_sums_that_are_refused(said):
    with pytest.raises(Malformed):
        bagit.payload_oxum([("payload-OXUM", value) for value in said])


def test_labels_come_again_and_lines_go_on():
    assert bagit.parse_info(b"A: 1\r\nA:2\n\n\tmore\nB : \n x\n") == (("A", "1"), ("A", "2 more"), ("B", "x"))


SEGMENT = st.text(st.characters(exclude_characters="/\\", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda text: text not in {".", ".."}
)
PATHS = st.lists(SEGMENT, min_size=1, max_size=4).map(lambda parts: "/".join(["data", *parts]))


@given(st.dictionaries(PATHS, st.binary(min_size=32, max_size=32), max_size=8))
def test_a_manifest_goes_round(entries):
    written = bagit.format_manifest(entries)
    assert bagit.parse_manifest(written, PAYLOAD) == entries
    assert bagit.format_manifest(bagit.parse_manifest(written, PAYLOAD)) == written


@given(st.data())
def test_no_bytes_break_it(data):
    good = line("data/a") + line("data/b", B.hex(), " *") + line("data/c%0A")
    given_bytes = data.draw(st.one_of(st.binary(max_size=200), damaged(good)))
    entries = parsed_or_none(lambda raw: bagit.parse_manifest(raw, PAYLOAD), given_bytes)
    if entries is not None:
        assert bagit.parse_manifest(bagit.format_manifest(entries), PAYLOAD) == entries
    parsed_or_none(bagit.parse_declaration, given_bytes)
    parsed_or_none(bagit.parse_info, given_bytes)


# --- bagit-python (Library of Congress) --------------------------------------------------------------------------------

FILES = {"a.csv": b"island,birds\n", "2026/雀 1.csv": b"", "line\nbreak\r.txt": b"x", "*star": b"y", "a  b": b"z"}


def lay(folder, files):
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def test_what_bagit_python_writes_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it changes the working directory
    lay(tmp_path / "bag", FILES)
    made = oracle.make_bag(str(tmp_path / "bag"), {"Contact-Name": "Lin\nShenzhen"}, checksums=["sha256", "sha512"])
    bag = tmp_path / "bag"
    assert bagit.parse_declaration((bag / "bagit.txt").read_bytes()) in {"0.97", "1.0"}
    for algorithm in ("sha256", "sha512"):
        for kind in ("manifest", "tagmanifest"):
            file = f"{kind}-{algorithm}.txt"
            name = bagit.parse_manifest_name(file)
            entries = bagit.parse_manifest((bag / file).read_bytes(), name)
            listed = made.payload_entries() if kind == "manifest" else made.tagfile_entries()
            assert {path: digest.hex() for path, digest in entries.items()} == {
                path: digests[algorithm] for path, digests in listed.items()
            }
    info = bagit.parse_info((bag / "bag-info.txt").read_bytes())
    assert dict(info)["Contact-Name"].startswith("Lin")
    assert bagit.payload_oxum(info) == (sum(map(len, FILES.values())), len(FILES))


def test_bagit_python_reads_what_is_written(tmp_path):
    entries = {f"data/{path}": hashlib.sha256(content).digest() for path, content in FILES.items()}
    lay(tmp_path / "data", FILES)
    (tmp_path / "bagit.txt").write_bytes(b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    (tmp_path / "manifest-sha256.txt").write_bytes(bagit.format_manifest(entries))
    assert oracle.Bag(str(tmp_path)).validate()
    (tmp_path / "data/a.csv").write_bytes(b"other")
    with pytest.raises(oracle.BagValidationError):
        oracle.Bag(str(tmp_path)).validate()
