"""RO-Crate metadata: the examples of the standard, and crates that must not be half understood."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import Malformed, rocrate
from tests.wire.damage import damaged, parsed_or_none

DIGEST = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


def crate(*entities, version="1.1", name=rocrate.NAME, root="./"):
    """RO-Crate 1.1, "Root Data Entity": the smallest crate, and what is in it."""
    return {
        "@context": f"https://w3id.org/ro/crate/{version}/context",
        "@graph": [
            {
                "@type": "CreativeWork",
                "@id": name,
                "conformsTo": {"@id": f"https://w3id.org/ro/crate/{version}"},
                "about": {"@id": root},
            },
            {"@id": root, "@type": "Dataset", "hasPart": [{"@id": each.get("@id")} for each in entities]},
            *entities,
        ],
    }


def file(identifier, **more):
    return {"@id": identifier, "@type": "File", **more}


def parsed(document, **bounds):
    return rocrate.parse_files(json.dumps(document).encode(), **bounds)


def test_files_with_and_without_digests():
    document = crate(
        file("cp7glop.ai", sha256=DIGEST, contentSize="383766"),
        file("./lots%20of/%E9%B8%9F.csv", sha256=DIGEST.upper()),
        {"@id": "both.txt", "@type": ["File", "SoftwareSourceCode"]},
        file("wrong.txt", sha256="abc"),
        file("list.txt", sha256=[DIGEST]),
        file("https://zenodo.org/record/3541888/files/ro-crate-1.0.0.pdf"),
        {"@id": "lots_of_little_files/", "@type": "Dataset"},
        {"@id": "#person", "@type": "Person"},
        file("./ro-crate-metadata.json"),
    )
    digest = bytes.fromhex(DIGEST)
    assert parsed(document) == {
        "cp7glop.ai": digest,
        "lots of/鸟.csv": digest,
        "both.txt": None,
        "wrong.txt": None,
        "list.txt": None,
    }


@pytest.mark.parametrize("version", ["1.1", "1.2", "1.2-DRAFT", "1.1.3"])
def test_versions(version):
    assert parsed(crate(file("a", sha256=DIGEST), version=version)) == {"a": bytes.fromhex(DIGEST)}


def test_a_file_that_no_folder_names_is_told_too():
    document = crate()
    document["@graph"].append(file("orphan.csv"))
    assert parsed(document) == {"orphan.csv": None}


def test_a_profile_beside_the_standard():
    document = crate(version="1.2")
    standard = document["@graph"][0]["conformsTo"]
    document["@graph"][0]["conformsTo"] = [{"@id": "https://w3id.org/workflowhub/workflow-ro-crate/1.0"}, standard]
    assert parsed(document) == {}


def without(place, key):
    document = copy.deepcopy(crate(file("a")))
    del document["@graph"][place][key]
    return document


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"@graph": {}},
        {"@graph": []},
        {"@graph": ["x"]},
        {"@graph": [{"@type": "File"}]},
        {"@graph": [{"@id": 7}]},
        crate(version="1.0"),
        crate(version="2.0"),
        crate(version="1.15"),
        crate(name="metadata.json"),
        without(0, "conformsTo"),
        without(0, "about"),
        without(1, "@type"),
        without(1, "@id"),
        crate(file("a"), file("a")),
        crate(file("a"), file("./a")),
        crate(file("../a")),
        crate(file("a/../b")),
        crate(file("a/%2E%2E/b")),
        crate(file("/a")),
        crate(file("//example.org/a")),
        crate(file("file:///a")),
        crate(file("a?b")),
        crate(file("#a")),
        crate(file("a\\b")),
        crate(file("a%")),
        crate(file("a%zz")),
        crate(file("%FF")),
        crate(file("")),
        crate(file("a//b")),
    ],
)
def test_what_is_refused(document):
    with pytest.raises(Malformed):
        parsed(document)


@pytest.mark.parametrize(
    "bounds", [{"max_size": 100}, {"max_depth": 2}, {"max_entities": 2}], ids=["size", "depth", "entities"]
)
def test_bounds(bounds):
    document = crate(file("a"))
    assert parsed(document) == {"a": None}
    with pytest.raises(Malformed):
        parsed(document, **bounds)


@pytest.mark.parametrize("data", [b"", b"\xff", b"{", b'{"@graph":[],"@graph":[]}'])
def test_what_is_no_json(data):
    with pytest.raises(Malformed):
        rocrate.parse_files(data)


@given(st.data())
def test_no_bytes_break_it(data):
    good = json.dumps(crate(file("a", sha256=DIGEST), file("b%20c"))).encode()
    given_bytes = data.draw(st.one_of(st.binary(max_size=100), damaged(good)))
    found = parsed_or_none(rocrate.parse_files, given_bytes)
    assert found is None or all(digest is None or len(digest) == 32 for digest in found.values())
