"""Names below an endpoint's base."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.naming import is_temporary, lay_out
from gateway.core.errors import BrokenPromise, EndpointError
from gateway.ports import Consignment, Parcel
from tests.connectors.cargo import FOLDER, HEADER


def consignment(*names: str, folder: str = FOLDER, transfer_id: str = "t-1") -> Consignment:
    parcels = tuple(Parcel(name, HEADER, bytes(32), HEADER) for name in names)
    return Consignment(transfer_id, folder, parcels, b"{}", b"sig")


def test_parcels_keep_their_order_and_the_manifest_is_last() -> None:
    layout = lay_out(consignment("b/c.c4gh", "a.c4gh"))
    assert layout.folder == tuple(FOLDER.split("/"))
    assert [(placed.folder[4:], placed.name) for placed in layout.placed] == [(("b",), "c.c4gh"), ((), "a.c4gh")]
    assert [placed.ordinal for placed in layout.placed] == ["parcel 1 of 2", "parcel 2 of 2"]
    assert [notice.name for notice in layout.notices] == ["manifest.json.sig", "manifest.json"]


@pytest.mark.parametrize(
    "name",
    ["", ".c4gh", "..c4gh", "../a.c4gh", "a/../b.c4gh", "/a.c4gh", "a//b.c4gh", "a\\b.c4gh", "a\0.c4gh", "a\n.c4gh",
     "./a.c4gh", "a/..c4gh", "e\u0301.c4gh", "a.csv", "a.c4gh/", "\u202egpj.c4gh", "x" * 251 + ".c4gh"],
)  # fmt: skip
def test_a_name_that_is_not_canonical_breaks_a_promise(name: str) -> None:
    with pytest.raises(BrokenPromise):
        lay_out(consignment(name))


@pytest.mark.parametrize("folder", ["", "/abs", "a/../b", "a//v1", "..", "a/v1/"])
def test_a_folder_that_is_not_canonical_breaks_a_promise(folder: str) -> None:
    with pytest.raises(BrokenPromise):
        lay_out(consignment("a.c4gh", folder=folder))


def test_one_name_twice_breaks_a_promise() -> None:
    with pytest.raises(BrokenPromise):
        lay_out(consignment("a.c4gh", "b.c4gh", "a.c4gh"))


@pytest.mark.parametrize(
    "names",
    [
        ("a.c4gh", "a.c4gh/b.c4gh"),
        ("x/a.c4gh/b.c4gh", "x/a.c4gh"),
        ("manifest.json/a.c4gh",),
        ("manifest.json.sig/deep/a.c4gh",),
        (".hetao-00.part/a.c4gh",),
        ("x/.hetao-00.part/a.c4gh",),
    ],
)
def test_honest_names_that_cannot_live_together_are_refused_with_a_remedy(names: tuple[str, ...]) -> None:
    with pytest.raises(EndpointError) as refused:
        lay_out(consignment(*names))
    assert (refused.value.retry, refused.value.code) == (False, "name-collision")
    assert "rename" in refused.value.message


def test_a_file_called_manifest_does_not_collide_once_sealed() -> None:
    layout = lay_out(consignment("manifest.json.c4gh", "sub/manifest.json.c4gh"))
    assert [placed.name for placed in layout.placed] == ["manifest.json.c4gh"] * 2


def test_temporary_names_depend_on_all_that_they_hold() -> None:
    first = consignment("a.c4gh")
    other_size = replace(first, parcels=(replace(first.parcels[0], size=HEADER + 1),))
    other_body = replace(first, parcels=(replace(first.parcels[0], blake3=b"\1" * 32),))
    others = [consignment("a.c4gh", transfer_id="t-2"), consignment("b.c4gh"), other_size, other_body]
    names = {lay_out(each).placed[0].temporary for each in [first, *others]}
    assert len(names) == 5
    assert lay_out(first) == lay_out(first)


segments = st.text(st.sampled_from("aé队 .%#?-"), min_size=1, max_size=8)
paths = st.lists(segments, min_size=1, max_size=4).map(lambda parts: "/".join(parts) + ".c4gh")


@given(st.lists(paths, max_size=4))
def test_whatever_is_laid_out_stays_below_its_folder(names: list[str]) -> None:
    try:
        layout = lay_out(consignment(*names))
    except (BrokenPromise, EndpointError):
        return
    taken = set()
    for placed in layout.placed:
        assert placed.folder[:4] == layout.folder
        assert not {"", ".", ".."} & {*placed.folder, placed.name}
        assert "/".join((*placed.folder[4:], placed.name)) == placed.parcel.name
        assert is_temporary(placed.temporary)
        assert len(placed.temporary) < 60
        assert not is_temporary(placed.name)
        taken |= {(placed.folder, placed.name), (placed.folder, placed.temporary)}
    assert len(taken) == 2 * len(names)
