"""What every connector promises, run against real servers on the loopback and against the fake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.core.errors import BrokenPromise, EndpointError
from gateway.ports import CanResume, Consignment
from tests.connectors.cargo import FOLDER, HEADER, LARGE, SMALL, Crash, MemorySource, expected, noise, pack
from tests.connectors.sites import SITES, Site


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield SITES[request.param](tmp_path, stack)


def test_delivers_every_byte_and_says_how_well_it_knows(site: Site) -> None:
    consignment = pack(SMALL)
    delivery = site.connector().deliver(consignment, MemorySource(SMALL))
    assert site.published() == expected(SMALL, consignment)
    assert site.leftovers() == []
    assert delivery.proof == site.proof
    assert set(delivery.detail) == set(SMALL)
    notices = len(consignment.manifest) + len(consignment.signature)
    assert delivery.sent == sum(map(len, SMALL.values())) + notices


def test_delivering_again_changes_nothing_and_sends_nothing(site: Site) -> None:
    consignment = pack(SMALL)
    site.connector().deliver(consignment, MemorySource(SMALL))
    again = site.connector().deliver(consignment, MemorySource(SMALL))
    assert again.sent == 0
    assert set(again.detail) == set(SMALL)
    assert site.everything() == expected(SMALL, consignment)


def test_a_version_in_which_everything_is_carried_is_a_manifest_alone(site: Site) -> None:
    consignment = pack({})
    delivery = site.connector().deliver(consignment, MemorySource({}))
    assert site.everything() == expected({}, consignment)
    assert delivery.detail == {}
    assert delivery.sent == len(consignment.manifest) + len(consignment.signature)
    assert site.connector().deliver(consignment, MemorySource({})).sent == 0


@pytest.mark.parametrize("crash_at", [0, 1, HEADER, 5_000, 5_200, 40_000, 75_370])
def test_a_reader_that_dies_leaves_nothing_half_and_the_next_attempt_completes(site: Site, crash_at: int) -> None:
    consignment = pack(SMALL)
    with pytest.raises(Crash):
        site.connector().deliver(consignment, MemorySource(SMALL, crash_at=crash_at))
    whole = expected(SMALL, consignment)
    assert site.published().items() <= whole.items()
    assert f"{FOLDER}/manifest.json" not in site.published()
    site.connector().deliver(consignment, MemorySource(SMALL))
    assert site.everything() == whole


def test_a_connection_cut_after_any_change_is_mended_by_the_next_attempt(site: Site) -> None:
    files = {name: SMALL[name] for name in list(SMALL)[:3]}
    for changes in range(200):
        # Another transfer of the same bytes each time: what an earlier round published must not help.
        consignment = pack(files, transfer_id=f"t-{changes}")
        whole = expected(files, consignment)
        clear(site)
        site.cut_after(changes)
        cut = broken(site, consignment, files)
        if cut is None:
            assert changes > len(files), "the suite never cut anything"
            return
        assert isinstance(cut, Crash) or cut.retry, "a cut connection may be tried again"
        site.cut_after(None)
        published = site.published()
        assert published.items() <= whole.items(), "nothing half may carry a final name"
        if f"{FOLDER}/manifest.json" in published:
            assert published == whole, "the manifest comes last"
        site.connector().deliver(consignment, MemorySource(files))
        assert site.everything() == whole
    pytest.fail("the endpoint never stopped cutting")


def test_nothing_has_a_final_name_before_it_is_whole_and_the_manifest_is_last(site: Site) -> None:
    consignment = pack(SMALL)
    whole = expected(SMALL, consignment)
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        published = site.published()
        assert published.items() <= whole.items()
        assert not any("manifest.json" in path for path in published)

    site.connector().deliver(consignment, MemorySource(SMALL, watch=look))
    assert looks >= len(SMALL)


def test_a_large_parcel_is_resumed_where_the_connector_can(site: Site) -> None:
    consignment = pack(LARGE)
    total = sum(map(len, LARGE.values()))
    with pytest.raises(Crash):
        site.connector().deliver(consignment, MemorySource(LARGE, crash_at=5 * (1 << 20)))
    connector = site.connector()
    delivery = connector.deliver(consignment, MemorySource(LARGE))
    assert site.everything() == expected(LARGE, consignment)
    if isinstance(connector, CanResume) and connector.resumes:
        assert delivery.sent < total - (1 << 20)
    else:
        assert delivery.sent >= len(LARGE["large.bam.c4gh"])


def test_other_content_under_a_final_name_is_noticed_and_left_alone(site: Site) -> None:
    consignment = pack(SMALL)
    site.connector().deliver(consignment, MemorySource(SMALL))
    path = f"{FOLDER}/a.csv.c4gh"
    same_size = noise("foreign", len(SMALL["a.csv.c4gh"]))
    for foreign in (b"", b"short", same_size + b"x", *([same_size] if site.sees_same_size else [])):
        site.put(path, foreign)
        before = site.everything()
        with pytest.raises(EndpointError) as refused:
            site.connector().deliver(consignment, MemorySource(SMALL))
        assert (refused.value.retry, refused.value.code) == (False, "foreign-content")
        assert site.everything() == before


def test_another_header_before_the_right_body_is_noticed(site: Site) -> None:
    if not site.sees_same_size:
        return  # an HTTPS endpoint trusted with `verify = "size"`: README.md says so
    consignment = pack(SMALL)
    site.connector().deliver(consignment, MemorySource(SMALL))
    path = f"{FOLDER}/a.csv.c4gh"
    site.put(path, noise("another header", HEADER) + SMALL["a.csv.c4gh"][HEADER:])
    with pytest.raises(EndpointError) as refused:
        site.connector().deliver(consignment, MemorySource(SMALL))
    assert (refused.value.retry, refused.value.code) == (False, "foreign-content")


def test_another_manifest_in_the_folder_ends_it_before_the_first_byte(site: Site) -> None:
    site.put(f"{FOLDER}/manifest.json", b'{"files":["theirs"]}')
    source = MemorySource(SMALL)
    with pytest.raises(EndpointError) as refused:
        site.connector().deliver(pack(SMALL), source)
    assert (refused.value.retry, refused.value.code) == (False, "foreign-content")
    assert source.read == 0
    assert site.everything() == {f"{FOLDER}/manifest.json": b'{"files":["theirs"]}'}


def test_a_permanent_error_ends_after_one_attempt(site: Site) -> None:
    site.lock_out()
    before = site.attempts()
    with pytest.raises(EndpointError) as refused:
        site.connector().deliver(pack(SMALL), MemorySource(SMALL))
    assert refused.value.retry is False
    assert site.attempts() == before + 1


def test_probe_speaks_one_line_and_fails_where_delivery_would(site: Site) -> None:
    line = site.connector().probe()
    assert line
    assert "\n" not in line
    site.lock_out()
    with pytest.raises(EndpointError):
        site.connector().probe()


def test_bytes_that_are_not_the_manifests_never_get_a_name(site: Site) -> None:
    wrong = dict(SMALL) | {"a.csv.c4gh": noise("rotten", len(SMALL["a.csv.c4gh"]))}
    with pytest.raises((BrokenPromise, EndpointError)):
        site.connector().deliver(pack(SMALL), MemorySource(wrong))
    assert f"{FOLDER}/a.csv.c4gh" not in site.published()
    assert f"{FOLDER}/manifest.json" not in site.published()


def test_errors_name_no_file(site: Site) -> None:
    consignment = pack(SMALL)
    site.connector().deliver(consignment, MemorySource(SMALL))
    site.put(f"{FOLDER}/影像 第一批/深/b.vcf.c4gh", b"foreign")
    with pytest.raises(EndpointError) as refused:
        site.connector().deliver(consignment, MemorySource(SMALL))
    assert "vcf" not in refused.value.message
    assert "影像" not in refused.value.message


def broken(site: Site, consignment: Consignment, files: dict[str, bytes]) -> Crash | EndpointError | None:
    try:
        site.connector().deliver(consignment, MemorySource(files))
    except (Crash, EndpointError) as cut:
        return cut
    return None


def clear(site: Site) -> None:
    """Every round begins with an empty endpoint."""
    if "base" in site.more or "root" in site.more:
        base = site.more.get("base") or site.more["root"]
        for path in sorted(base.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    elif "store" in site.more:
        store = site.more["store"]
        store.files.clear()
        if store.folders is not None:
            store.folders.intersection_update({"", "drop box"})
    else:
        connector = site.connector()
        connector.endpoint.files.clear()  # type: ignore[attr-defined] # only the fake has no folder and no store
        connector.endpoint.halves.clear()  # type: ignore[attr-defined] # the same
