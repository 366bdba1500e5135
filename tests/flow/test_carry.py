"""Versions of a dataset: what the next one takes over, what is sent again, and that nothing is believed about it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.core.errors import BrokenPromise, Conflict, StoreError
from gateway.core.names import DatasetName
from gateway.core.transfer import State, Transfer
from gateway.flow.folders import Folders
from gateway.flow.intake import Announced
from gateway.ports import StoredFile
from gateway.wire import crypt4gh
from tests.flow.rig import DUTIES, GENERAL, Rig, chunks, filing, personal
from tests.flow.test_decide import table

NAME = DatasetName("sz-lab", "hku", "trial", "birds")
A, B, C = (b"island,birds\n" + name + b",12\n" * 50 for name in (b"lamma", b"lantau", b"cheung chau"))
DECLARES = b"# what the door reads at CLOSE\n"


@pytest.fixture
async def rig() -> Rig:
    made = Rig()
    await made.found()
    made.folders = Folders(recorder=made.recorder, intake=made.intake)
    return made


async def write(rig: Rig, **files: bytes) -> None:
    for name, content in files.items():
        draft = await rig.folders.draft(rig.sender, NAME)
        await rig.intake.receive(rig.sender, draft.id, f"{name}.csv", chunks(content), Announced())


async def declare(rig: Rig, words: dict[str, Any] = GENERAL) -> None:
    """What the SFTP door does with a `declaration.toml`."""
    draft = await rig.folders.draft(rig.sender, NAME)
    await rig.intake.receive(rig.sender, draft.id, "declaration.toml", chunks(DECLARES), Announced())
    await rig.intake.declare(rig.sender, draft.id, words)


async def submit(rig: Rig) -> Transfer:
    return await rig.folders.submit(rig.sender, NAME, None)


async def delivered(rig: Rig) -> Transfer:
    submitted = await submit(rig)
    await rig.settle()
    found = await rig.transfer(submitted.id)
    assert found.state is State.RECEIPTED, (found.state, found.reason, found.decision.get("rules"))
    return found


async def first(rig: Rig, words: dict[str, Any] = GENERAL, **files: bytes) -> Transfer:
    await declare(rig, words)
    await write(rig, **(files or {"a": A, "b": B, "c": C}))
    return await delivered(rig)


async def waiting(rig: Rig) -> Transfer:
    """A first version that is held: it has a file nobody can look into."""
    await declare(rig)
    await write(rig, a=A, b=bytes(range(256)) * 4)
    held = await submit(rig)
    await rig.settle()
    assert (await rig.transfer(held.id)).state is State.HELD
    return held


async def approve(rig: Rig, held: Transfer) -> None:
    await rig.vote(held.id, "chen")
    await rig.vote(held.id, "zhao")
    await rig.settle()


async def rows(rig: Rig, transfer: Transfer) -> dict[str, StoredFile]:
    async with rig.records.read() as view:
        return {each.file.path: each for each in await view.files(transfer.id)}


def at(rig: Rig, version: int) -> set[str]:
    folder = f"sz-lab/trial/birds/v{version}/"
    return {name.removeprefix(folder) for name in rig.hong_kong.files if name.startswith(folder)}


def manifest(rig: Rig, version: int) -> dict[str, Any]:
    return json.loads(rig.hong_kong.files[f"sz-lab/trial/birds/v{version}/manifest.json"])


NOTICES = {"manifest.json", "manifest.json.sig"}


def received(rig: Rig, version: int) -> dict[str, bytes]:
    """A whole version as the receiver puts it together: from its manifest alone, with its own key."""
    found: dict[str, bytes] = {}
    for each in manifest(rig, version)["files"]:
        place = each.get("carried", {"version": version, "name": each["name"]})
        sealed = rig.hong_kong.files[f"sz-lab/trial/birds/v{place['version']}/{place['name']}"]
        assert len(sealed) == each["header_size"] + each["body_size"]
        keys = crypt4gh.open_header(sealed[: each["header_size"]], rig.hku_private).session_keys
        found[each["path"]] = crypt4gh.SegmentOpener(keys).open(sealed[each["header_size"] :])
    return found


# --- the whole way ---------------------------------------------------------------------------------------------------


async def test_the_next_version_is_the_whole_dataset_and_sends_what_changed(rig: Rig):
    one = await first(rig)
    assert not rig.spool.names("")
    await write(rig, b=C, d=A)
    await rig.folders.remove(rig.sender, NAME, "c.csv")
    two = await delivered(rig)
    assert (two.version, two.files, two.bytes) == (2, 4, len(DECLARES) + 2 * len(A) + len(C))
    assert at(rig, 2) == {"b.csv.c4gh", "d.csv.c4gh"} | NOTICES
    assert received(rig, 2) == {"a.csv": A, "b.csv": C, "d.csv": A, "declaration.toml": DECLARES}
    entry = next(each for each in manifest(rig, 2)["files"] if each["path"] == "a.csv")
    assert entry["carried"] == {
        "version": 1,
        "name": "a.csv.c4gh",
        "recipient_key": json.loads(one.manifest)["recipient_key"],
    }
    sent = sum(len(content) for name, content in rig.hong_kong.files.items() if "/v2/" in name)
    assert two.delivery["sent"] == sent
    receipt = json.loads(two.receipt)
    assert receipt["carried"] == 2
    assert {each["path"]: each.get("carried") for each in receipt["files"]} == {
        "a.csv": 1,
        "b.csv": None,
        "d.csv": None,
        "declaration.toml": 1,
    }
    entries = await rig.enquiry.history(rig.sender, two.id)
    assert entries[0]["body"]["follows"] == one.id
    assert [each["body"]["carried"] for each in entries if each["tag"] == "transfer.submitted"] == [2]
    assert (await rig.audit.verify()).problems == ()
    assert not rig.spool.names("")


async def test_three_versions_carry_from_the_one_that_brought_the_bytes(rig: Rig):
    one = await first(rig)
    await write(rig, b=C)
    two = await delivered(rig)
    await write(rig, c=A)
    three = await delivered(rig)
    assert at(rig, 3) == {"c.csv.c4gh"} | NOTICES
    origins = {path: row.carried for path, row in (await rows(rig, three)).items()}
    assert origins == {"a.csv": one.id, "b.csv": two.id, "c.csv": "", "declaration.toml": one.id}
    assert received(rig, 3) == {"a.csv": A, "b.csv": C, "c.csv": A, "declaration.toml": DECLARES}


async def test_a_version_of_deletions_delivers_a_manifest_alone(rig: Rig):
    await first(rig)
    await rig.folders.remove(rig.sender, NAME, "b.csv")
    two = await delivered(rig)
    assert at(rig, 2) == NOTICES
    assert set(received(rig, 2)) == {"a.csv", "c.csv", "declaration.toml"}
    assert two.delivery["detail"] == {}


async def test_a_renamed_file_is_carried_under_both_names(rig: Rig):
    await first(rig)
    own = await rig.folders.own(rig.sender, NAME, "a.csv")
    await rig.intake.rename_file(rig.sender, own.transfer_id, "a.csv", "z.csv")
    await delivered(rig)
    assert at(rig, 2) == NOTICES
    entry = next(each for each in manifest(rig, 2)["files"] if each["path"] == "z.csv")
    assert (entry["name"], entry["carried"]["name"]) == ("z.csv.c4gh", "a.csv.c4gh")
    assert received(rig, 2)["z.csv"] == A


async def test_what_was_sealed_to_an_old_key_is_told_with_it(rig: Rig):
    await first(rig)
    old = manifest(rig, 1)["recipient_key"]
    rig.hku_private, rig.hku_public = rig.vault_private, rig.vault_public  # any other pair
    await rig.register(("endpoint", rig.endpoint()))
    await write(rig, b=C)
    await delivered(rig)
    told = manifest(rig, 2)
    assert told["recipient_key"] != old
    assert {each["carried"]["recipient_key"] for each in told["files"] if "carried" in each} == {old}


async def test_the_same_bytes_sent_again_are_nothing_new(rig: Rig):
    one = await first(rig)
    await write(rig, a=A)
    assert (await rig.folders.draft(rig.sender, NAME)).version == 2
    answered = await submit(rig)
    assert (answered.id, answered.state) == (one.id, State.RECEIPTED)
    newest, _ = await rig.folders.versions(rig.sender, NAME)
    assert (newest.state, newest.reason) == (State.WITHDRAWN, "nothing changed since the version before")
    assert not rig.spool.names("")
    assert (await submit(rig)).id == one.id  # and once more
    assert (await rig.folders.datasets(rig.sender, "hku", "trial"))["birds"].id == one.id
    with pytest.raises(Conflict):  # it ends what was submitted, and that has left
        await rig.folders.withdraw(rig.sender, NAME)
    await write(rig, a=B)
    assert (await delivered(rig)).version == 3
    assert at(rig, 3) == {"a.csv.c4gh"} | NOTICES


async def test_another_declaration_is_something_new(rig: Rig):
    one = await first(rig)
    draft = await rig.folders.draft(rig.sender, NAME)
    assert draft.declaration == GENERAL
    await rig.intake.declare(rig.sender, draft.id, GENERAL)
    assert (await submit(rig)).id == one.id
    draft = await rig.folders.draft(rig.sender, NAME)
    await rig.intake.declare(rig.sender, draft.id, {**GENERAL, "purpose": {"stated": "trial B"}})
    assert (await submit(rig)).id == draft.id


async def test_words_are_taken_over_with_the_file_that_says_them(rig: Rig):
    await first(rig)
    await write(rig, d=A)
    assert (await delivered(rig)).declaration == GENERAL
    await rig.folders.remove(rig.sender, NAME, "declaration.toml")
    await delivered(rig)  # the draft had the words already; the version after has no file to take them from
    await write(rig, e=A)
    assert (await rig.folders.draft(rig.sender, NAME)).declaration == {}


async def test_standing_words_are_joined_anew_for_each_version(rig: Rig):
    await first(rig)
    project = {"id": "trial", "institution": "sz-lab", "endpoints": ["hku"], "purpose": "trial A"}
    await rig.register(("project", {**project, "declaration": {"data": {"precise_geo": True}}}))
    await write(rig, d=A)
    two = await submit(rig)
    assert two.declaration["data"]["precise_geo"] is True


async def test_a_transfer_opened_over_the_api_is_empty(rig: Rig):
    await first(rig)
    opened = await rig.send({"x.csv": A}, dataset="birds", submit=False)
    assert (opened.version, opened.files) == (2, 1)
    await rig.intake.submit(rig.sender, opened.id)
    await rig.settle()
    assert at(rig, 2) == {"x.csv.c4gh"} | NOTICES


# --- a version before that has no receipt ----------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["withdrawn", "expired"])
async def test_a_draft_outlives_the_version_it_follows(rig: Rig, end: str):
    held = await waiting(rig)
    await write(rig, c=C)
    await rig.folders.remove(rig.sender, NAME, "b.csv")
    if end == "withdrawn":
        await rig.intake.withdraw(rig.sender, held.id)
        rig.clock.advance(days=3)
    else:
        held_row = rig.records.state.transfers[held.id]
        rig.records.state.transfers[held.id] = replace(held_row, due=rig.clock.now() - timedelta(seconds=1))
        await rig.settle()
    await rig.housekeeping.destroy(await rig.transfer(held.id), "the appeal term is over")
    two = await delivered(rig)
    assert at(rig, 2) == {"a.csv.c4gh", "c.csv.c4gh", "declaration.toml.c4gh"} | NOTICES
    assert received(rig, 2) == {"a.csv": A, "c.csv": C, "declaration.toml": DECLARES}
    assert json.loads(two.receipt)["carried"] == 0
    assert not rig.spool.names("")


async def test_what_was_delivered_before_the_submission_is_not_sent_again(rig: Rig):
    held = await waiting(rig)
    await write(rig, c=C)
    draft = await rig.folders.draft(rig.sender, NAME)
    assert len(rig.spool.names(draft.id)) == 4
    await approve(rig, held)
    assert (await rig.transfer(held.id)).state is State.RECEIPTED
    two = await submit(rig)
    assert len(rig.spool.names(two.id)) == 1
    assert [key[1] for key in rig.keyring.secrets if key[0] == two.id and key[1] != "evidence"] == rig.spool.names(
        two.id
    )
    assert {path: row.carried for path, row in (await rows(rig, two)).items()} == {
        "a.csv": held.id,
        "b.csv": held.id,
        "c.csv": "",
        "declaration.toml": held.id,
    }
    await rig.settle()
    await approve(rig, two)  # the version has a file nobody can look into, wherever that lies
    assert (await rig.transfer(two.id)).state is State.RECEIPTED
    assert at(rig, 2) == {"c.csv.c4gh"} | NOTICES


async def test_what_was_delivered_after_the_submission_is_sent_again(rig: Rig):
    held = await waiting(rig)
    await write(rig, c=C)
    two = await submit(rig)
    await rig.settle()
    await approve(rig, held)
    await approve(rig, two)
    assert (await rig.transfer(two.id)).state is State.RECEIPTED
    assert at(rig, 2) == {"a.csv.c4gh", "b.csv.c4gh", "c.csv.c4gh", "declaration.toml.c4gh"} | NOTICES


async def test_a_fallen_version_brings_nothing(rig: Rig):
    await first(rig)
    await write(rig, b=bytes(range(256)))
    held = await submit(rig)
    await rig.intake.withdraw(rig.sender, held.id)
    draft = await rig.folders.draft(rig.sender, NAME)
    assert draft.version == 3
    assert (await rows(rig, draft))["b.csv"].file.size == len(B)


async def test_a_needless_draft_leaves_no_keys(rig: Rig):
    held = await waiting(rig)
    draft = await rig.folders.draft(rig.sender, NAME)
    assert len(rig.spool.names(draft.id)) == 3
    assert (await submit(rig)).id == held.id
    assert rig.spool.names(draft.id) == []
    assert [key for key in rig.keyring.secrets if key[0] == draft.id] == [(draft.id, "evidence")]


async def test_many_writers_at_once_take_the_listing_over_once(rig: Rig):
    await waiting(rig)
    before = len(rig.spool.names(""))
    drafts = await asyncio.gather(*(rig.folders.draft(rig.sender, NAME) for _ in range(8)))
    assert len({each.id for each in drafts}) == 1
    assert len(rig.spool.names("")) == 2 * before


async def test_two_processes_open_one_draft_and_leave_nothing_else(rig: Rig):
    await waiting(rig)
    others = [Folders(recorder=rig.recorder, intake=rig.intake) for _ in range(3)]
    drafts = await asyncio.gather(*(each.draft(rig.sender, NAME) for each in others))
    (draft,) = {each.id for each in drafts}
    held = (await rig.folders.versions(rig.sender, NAME))[1]
    assert {name.partition("/")[0] for name in rig.spool.names("")} == {held.id, draft}
    assert {key[0] for key in rig.keyring.secrets if key[1] == "evidence"} >= {held.id, draft}
    assert len([key for key in rig.keyring.secrets if "/carried-" in key[1]]) == 3


async def test_a_version_that_moves_on_while_it_is_copied_is_looked_at_again(rig: Rig):
    held = await waiting(rig)
    copy = rig.spool.copy

    def meanwhile(names: dict[str, str]) -> None:
        rig.spool.copy = copy
        for name in names:
            rig.spool.delete(name)
        rig.records.state.transfers[held.id] = replace(rig.records.state.transfers[held.id], state=State.WITHDRAWN)
        copy(names)

    rig.spool.copy = meanwhile
    draft = await rig.folders.draft(rig.sender, NAME)
    assert (draft.version, draft.files) == (2, 0)
    assert not [key for key in rig.keyring.secrets if "/carried-" in key[1]]


async def test_a_full_vault_opens_no_draft_and_leaves_nothing(rig: Rig):
    await waiting(rig)
    spooled, keys = rig.spool.names(""), set(rig.keyring.secrets)

    def full(names: dict[str, str]) -> None:
        raise StoreError("the vault's disk is full", code="disk-full")

    rig.spool.copy = full
    with pytest.raises(StoreError, match="full"):
        await rig.folders.draft(rig.sender, NAME)
    assert (rig.spool.names(""), set(rig.keyring.secrets)) == (spooled, keys)
    assert len(await rig.folders.versions(rig.sender, NAME)) == 1


# --- nothing is believed ---------------------------------------------------------------------------------------------


def tamper(rig: Rig, transfer: Transfer, path: str, **changes: Any) -> None:
    row = rig.records.state.files[transfer.id, path]
    rig.records.state.files[transfer.id, path] = replace(row, **changes)


async def found_out(rig: Rig, transfer: Transfer, words: str) -> None:
    await rig.settle()
    ended = await rig.transfer(transfer.id)
    assert (ended.state, words in ended.reason) == (State.FAILED, True), (ended.state, ended.reason)
    assert at(rig, transfer.version) == set()


@pytest.mark.parametrize("stage", ["submitted", "classified", "cleared"])
@pytest.mark.parametrize("path", ["a.csv", "b.csv"])
async def test_carried_altered_in_the_database_is_found(rig: Rig, stage: str, path: str):
    """Marking a new file as carried would keep it back; clearing the mark would make a header without a key."""
    one = await first(rig)
    await write(rig, b=C)
    two = await submit(rig)
    for _ in range(["submitted", "classified", "cleared"].index(stage)):
        await rig.conductor.step(two.id)
    assert (await rig.transfer(two.id)).state.value == stage
    tamper(rig, two, path, carried="" if path == "a.csv" else one.id)
    await found_out(rig, two, "altered in the database")


async def test_carried_altered_after_sealing_changes_nothing(rig: Rig):
    one = await first(rig)
    await write(rig, b=C)
    two = await submit(rig)
    for _ in range(3):
        await rig.conductor.step(two.id)
    assert (await rig.transfer(two.id)).state is State.SEALED
    tamper(rig, two, "b.csv", carried=one.id)
    await rig.settle()
    assert at(rig, 2) == {"b.csv.c4gh"} | NOTICES


async def test_an_altered_row_is_not_taken_over(rig: Rig):
    one = await first(rig)
    row = rig.records.state.files[one.id, "a.csv"]
    tamper(rig, one, "a.csv", facts={**row.facts, "level": "general", "sensitive": True})
    with pytest.raises(BrokenPromise, match="altered"):
        await rig.folders.draft(rig.sender, NAME)
    assert len(await rig.folders.versions(rig.sender, NAME)) == 1


@pytest.mark.parametrize("what", ["added", "dropped"])
async def test_a_listing_that_was_not_submitted_is_not_taken_over(rig: Rig, what: str):
    one = await first(rig)
    row = rig.records.state.files.pop((one.id, "a.csv"))
    if what == "added":
        rig.records.state.files |= {
            (one.id, "a.csv"): row,
            (one.id, "z.csv"): replace(row, file=replace(row.file, path="z.csv")),
        }
    with pytest.raises(BrokenPromise, match="submitted"):
        await rig.folders.draft(rig.sender, NAME)


async def drafted(rig: Rig) -> tuple[Transfer, Transfer]:
    one = await first(rig)
    await write(rig, b=C)
    two = await submit(rig)
    for _ in range(2):
        await rig.conductor.step(two.id)
    return one, two


async def test_the_version_that_brought_the_bytes_must_be_what_the_ledger_says(rig: Rig):
    one, two = await drafted(rig)
    rig.records.state.transfers[one.id] = replace(one, manifest=one.manifest.replace('"a.csv"', '"x.csv"'))
    await found_out(rig, two, "is not the one the ledger recorded")


async def test_a_version_moved_to_receipted_by_hand_brought_nothing(rig: Rig):
    one, two = await drafted(rig)
    rig.records.state.entries = [
        each if each[1] != one.id or each[0].value != "transfer.receipted" else (*each[:1], "elsewhere", *each[2:])
        for each in rig.records.state.entries
    ]
    await found_out(rig, two, "do not follow from each other")


@pytest.mark.parametrize(
    "changes",
    [{"state": State.DELIVERED}, {"dataset": "other"}, {"endpoint": "cuhk"}, {"institution": "gz-lab"}, {"version": 2}],
    ids=lambda changes: next(iter(changes)),
)
async def test_only_a_receipted_version_of_the_same_dataset_brings_anything(rig: Rig, changes: dict[str, Any]):
    one, two = await drafted(rig)
    two_row = (await rows(rig, two))["a.csv"]
    rig.records.state.transfers[one.id] = replace(one, **changes)
    with pytest.raises(BrokenPromise, match="no earlier version"):
        await rig.seal._carry.places(two, [two_row])


async def test_bytes_its_version_never_brought_are_not_carried(rig: Rig):
    one, two = await drafted(rig)
    row = (await rows(rig, two))["a.csv"]
    other = replace(row, file=replace(row.file, body_blake3=b"\0" * 32))
    assert set(await rig.seal._carry.places(two, [row])) == {"a.csv"}
    with pytest.raises(BrokenPromise, match="brought"):
        await rig.seal._carry.places(two, [other])
    await rig.settle()
    await write(rig, d=A)
    three = await submit(rig)
    carried_twice = replace(
        (await rows(rig, three))["a.csv"], carried=two.id
    )  # version 2 lists it, and carried it itself
    with pytest.raises(BrokenPromise, match="brought"):
        await rig.seal._carry.places(three, [carried_twice])
    assert one.id != two.id


# --- counting --------------------------------------------------------------------------------------------------------


def people(transfer: Transfer) -> dict[str, int]:
    return transfer.decision["situation"]["persons"]


def by_number(count: int, start: int = 0) -> bytes:
    """People without an identifier: rows of a table that is about persons."""
    return b"name,birth_date,diagnosis\n" + b"".join(
        f"\xe5\xbc\xa0{number},1980-01-{1 + number % 28:02d},asthma\n".encode("latin-1")
        for number in range(start, start + count)
    )


async def test_the_same_persons_in_the_next_version_add_nobody(rig: Rig):
    await first(rig, personal(nonsensitive=300), a=table(300))
    await write(rig, b=table(20, 300))
    two = await delivered(rig)
    assert people(two)["nonsensitive"] == 320


async def test_persons_known_by_number_are_added_once(rig: Rig):
    await rig.register(filing("SCC"))
    one = await first(rig, personal(sensitive=40), a=by_number(40))
    counted = rig.records.state.persons[one.id]
    assert counted.unkeyed_sensitive + counted.unkeyed_nonsensitive >= 40
    await write(rig, b=A)
    two = await delivered(rig)
    again = rig.records.state.persons[two.id]
    assert (again.unkeyed_sensitive, again.unkeyed_nonsensitive) == (0, 0)
    assert people(two) == people(one)
    await write(rig, b=by_number(7, 900))
    three = await delivered(rig)
    assert people(three) == {kind: count + 7 for kind, count in people(two).items()}


async def test_a_new_year_counts_what_it_carries_as_numbers(rig: Rig):
    """Digests of last year say nothing under this year's key: the persons are an upper bound again, never left out."""
    rig.clock.set(datetime(2026, 12, 30, 2, 0, tzinfo=UTC))
    await first(rig, personal(nonsensitive=300), a=table(300))
    rig.clock.set(datetime(2027, 1, 4, 2, 0, tzinfo=UTC))
    await write(rig, b=table(20, 100))
    two = await submit(rig)
    await rig.settle()
    two = await rig.transfer(two.id)
    assert people(two)["nonsensitive"] == 320
    assert not two.findings["persons_exact"]


VCF = b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t%s\n1\t100\t.\tA\tG\t50\tPASS\t.\tGT\t%s\n"


def genomes(count: int, start: int = 0) -> bytes:
    names = b"\t".join(b"S%d" % number for number in range(start, start + count))
    return VCF % (names, b"\t".join([b"0/1"] * count))


async def test_subjects_of_genomes_are_added_once_for_all_time(rig: Rig):
    words = {
        **personal(sensitive=30),
        "hgr": {
            "information": True,
            "material": False,
            "aggregate_only": False,
            "pedigree": False,
            "special_region": False,
        },
        "duties": DUTIES,
    }
    await rig.register(filing("HGR_REPORT"), filing("HGR_BACKUP"), filing("HGR_COOPERATION"), filing("SCC"))
    await declare(rig, words)
    await write(rig, a=genomes(30))
    held = await submit(rig)
    await rig.settle()
    one = await rig.transfer(held.id)
    if one.state is State.HELD:
        await approve(rig, held)
        one = await rig.transfer(held.id)
    assert one.state is State.RECEIPTED, (one.state, one.decision["rules"], one.decision["cure"])
    assert one.decision["situation"]["hgr"]["subjects"] == 30
    await write(rig, b=A)
    two = await submit(rig)
    await rig.settle()
    hgr = (await rig.transfer(two.id)).decision["situation"]["hgr"]
    assert (hgr["information"], hgr["subjects"]) == (True, 30)
    await write(rig, b=genomes(5, 30))
    three = await submit(rig)
    await rig.settle()
    assert (await rig.transfer(three.id)).decision["situation"]["hgr"]["subjects"] == 35
