"""Submission of what is whole: drafts in folders, manifests as they come in, quiet time, and who may still speak for a draft."""

from __future__ import annotations

import json

import bagit as oracle
import pytest

from gateway.core.completeness import parse_note
from gateway.core.documents import parse_document
from gateway.core.errors import Conflict, StoreError
from gateway.core.identity import SENDER_SCOPES
from gateway.core.manifests import MAX_MANIFEST
from gateway.core.names import DatasetName
from gateway.core.transfer import State
from gateway.flow.folders import Folders
from gateway.flow.intake import Announced
from gateway.identity.sshkeys import SshKeys
from gateway.wire import sshsig
from tests.core.test_completeness import bag, crated, listing
from tests.flow.rig import GENERAL, Rig, chunks, public_line, seeded_key

NAME = DatasetName("sz-lab", "hku", "trial", "birds")
LIN = seeded_key("lin")
CSV = {"data/a.csv": b"island,birds\nlamma,12\n" * 50}


def key(**changes):
    table = {"id": "lin-key", "institution": "sz-lab", "person": "lin", "key": public_line(LIN)}
    return "sshkey", table | {"scopes": list(SENDER_SCOPES)} | changes


def project(quiet_minutes=0):
    return "project", {
        "id": "trial",
        "institution": "sz-lab",
        "endpoints": ["hku"],
        "purpose": "trial A",
        "declaration": GENERAL,
        "quiet_minutes": quiet_minutes,
    }


class Desk:
    """What a folder door does, without one."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.draft = None

    async def found(self, *records):
        await self.rig.found()
        await self.rig.register(key(), *records)
        self.keys = SshKeys(records=self.rig.records, registrar=self.rig.registrar, clock=self.rig.clock)
        self.lin = await self.keys.principal("sz-lab", bytes(sshsig.public_blob(public_line(LIN))))
        return self

    async def open(self):
        folders = Folders(recorder=self.rig.recorder, intake=self.rig.intake)
        self.draft = await folders.draft(self.lin, NAME)
        return self.draft

    async def put(self, **files):
        await self.put_all(files)

    async def put_all(self, files):
        await self.open()
        for path, content in files.items():
            await self.rig.intake.receive(self.lin, self.draft.id, path, chunks(content), Announced())

    async def passes(self, **time):
        """Time goes by, and the conductor does what is due, up to the stages after a submission."""
        self.rig.clock.advance(**time)
        await self.rig.settle()
        return (await self.now()).state

    async def now(self):
        return await self.rig.transfer(self.draft.id)

    async def waits(self):
        found = parse_note((await self.now()).reason)
        return found[0].code if found else None

    async def submitted(self):
        """The ledger's word on the submission."""
        async with self.rig.records.read() as view:
            entries = [parse_document(body) for _, body in await view.entries_of(self.draft.id)]
        (found,) = [each for each in entries if each["tag"] == "transfer.submitted"]
        return found


@pytest.fixture
async def desk():
    return await Desk().found(project())


@pytest.fixture
async def quiet():
    return await Desk().found(project(30))


async def test_a_whole_bag_is_submitted_ten_seconds_after_its_last_file(desk):
    files = bag(CSV, bag_info=None)
    await desk.put_all(files)
    assert await desk.passes(seconds=9.9) is State.OPEN
    assert await desk.passes(seconds=0.1) is State.RECEIPTED
    said = await desk.submitted()
    assert (said["actor"], said["body"]["by"], said["body"]["files"]) == ("lin-key", "bag", len(files))
    assert (await desk.now()).reason == ""
    assert desk.rig.arrived("a.csv.c4gh") == CSV["data/a.csv"]


@pytest.mark.parametrize("order", [1, -1])
async def test_the_order_of_the_files_does_not_matter(desk, order):
    await desk.put_all(dict(sorted(bag(CSV, bag_info=None).items(), reverse=order < 0)))
    assert await desk.passes(seconds=10) is State.RECEIPTED


async def test_a_bag_of_bagit_pythons_making_is_submitted(desk, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it changes the working directory
    (tmp_path / "bag" / "2026").mkdir(parents=True)
    (tmp_path / "bag" / "2026" / "鸟 1.csv").write_bytes(CSV["data/a.csv"])
    oracle.make_bag(str(tmp_path / "bag"))
    made = {each.relative_to(tmp_path / "bag").as_posix(): each.read_bytes() for each in tmp_path.rglob("bag/**/*.*")}
    assert {"manifest-sha512.txt", "tagmanifest-sha256.txt", "bag-info.txt", "data/2026/鸟 1.csv"} <= set(made)
    await desk.put_all(made)
    assert await desk.passes(seconds=10) is not State.OPEN
    assert (await desk.submitted())["body"]["by"] == "bag"


async def test_a_whole_crate_is_submitted(desk):
    await desk.put_all(crated({"a.csv": CSV["data/a.csv"]}))
    assert await desk.passes(seconds=10) is State.RECEIPTED
    assert (await desk.submitted())["body"]["by"] == "ro-crate"


async def test_a_bag_with_a_file_missing_never_is(desk):
    files = bag(CSV, bag_info=None)
    del files["data/a.csv"]
    await desk.put_all(files)
    assert await desk.passes(seconds=10) is State.OPEN
    assert await desk.waits() == "file-missing"
    assert (await desk.now()).next_at is None
    assert await desk.passes(days=6) is State.OPEN
    await desk.put_all(CSV)
    assert (await desk.now()).reason == ""
    assert await desk.passes(seconds=10) is State.RECEIPTED


async def test_every_change_starts_the_ten_seconds_again(desk):
    await desk.put_all(bag(CSV, bag_info=None) | {"x.txt": b"x", "y.txt.part": b"y"})
    for change in (
        lambda: desk.rig.intake.drop_file(desk.lin, desk.draft.id, "x.txt"),
        lambda: desk.rig.intake.rename_file(desk.lin, desk.draft.id, "y.txt.part", "y.txt"),
        lambda: desk.rig.intake.declare(desk.lin, desk.draft.id, GENERAL),
        lambda: desk.put_all({"notes.txt": b"n"}),
    ):
        assert await desk.passes(seconds=9.9) is State.OPEN
        await change()
    assert await desk.passes(seconds=9.9) is State.OPEN
    assert await desk.passes(seconds=0.1) is State.RECEIPTED


async def test_nothing_happens_to_what_nobody_lists(desk):
    await desk.put_all(CSV)
    assert await desk.passes(days=6) is State.OPEN
    assert await desk.waits() == "nothing-tells"


async def test_a_transfer_of_a_door_without_folders_is_left_alone(desk):
    sent = await desk.rig.send(bag(CSV, bag_info=None), dataset="other", submit=False)
    desk.rig.clock.advance(days=1)
    await desk.rig.settle()
    await desk.rig.conductor.step(sent.id)
    assert await desk.rig.transfer(sent.id) == sent


async def test_an_upload_under_way_holds_it_and_its_end_is_found(desk):
    await desk.put_all(bag(CSV, bag_info=None))
    upload = await desk.rig.intake.begin(desk.lin, desk.draft.id, "more.bin")
    assert await desk.passes(seconds=10) is State.OPEN
    assert await desk.waits() == "upload-open"
    assert await desk.passes(hours=1) is State.OPEN
    await upload.abort()
    assert await desk.passes(seconds=10) is State.RECEIPTED


async def test_without_a_declaration_nothing_is_submitted():
    desk = await Desk().found()
    await desk.put_all(bag(CSV, bag_info=None))
    assert await desk.passes(seconds=10) is State.OPEN
    assert await desk.waits() == "not-declared"
    await desk.rig.intake.declare(desk.lin, desk.draft.id, GENERAL)
    assert await desk.passes(seconds=10) is State.RECEIPTED


# --- manifests as they come in ---------------------------------------------------------------------------------------


async def kept(desk):
    async with desk.rig.records.read() as view:
        return {each.path: each for each in await view.manifests(desk.draft.id)}


async def test_a_manifest_is_kept_dropped_replaced_and_renamed_with_its_file(desk):
    intake, name = desk.rig.intake, "manifest-sha256.txt"
    await desk.put_all({f"{name}.filepart": listing(CSV), "a.csv": b"x", "sub/bagit.txt": b"x"})
    assert list(await kept(desk)) == [f"{name}.filepart"]
    await intake.rename_file(desk.lin, desk.draft.id, f"{name}.filepart", name)
    (found,) = (await kept(desk)).values()
    assert (found.path, list(found.entries)) == (name, ["data/a.csv"])
    await desk.put_all({name: listing({"data/b": b""})})
    assert list((await kept(desk))[name].entries) == ["data/b"]
    await desk.put_all({f"{name}.part": listing(CSV)})
    await intake.rename_file(desk.lin, desk.draft.id, f"{name}.part", name)
    (found,) = (await kept(desk)).values()
    assert list(found.entries) == ["data/a.csv"]
    await intake.drop_file(desk.lin, desk.draft.id, name)
    assert await kept(desk) == {}


async def test_a_file_renamed_to_a_manifest_was_not_read_as_one(desk):
    files = bag(CSV, bag_info=None, tagmanifest_sha256=None)
    files["listing.txt"] = files.pop("manifest-sha256.txt")
    await desk.put_all(files)
    await desk.rig.intake.rename_file(desk.lin, desk.draft.id, "listing.txt", "manifest-sha256.txt")
    assert await desk.passes(seconds=10) is State.OPEN
    assert await desk.waits() == "manifest-unread"
    await desk.rig.intake.rename_file(desk.lin, desk.draft.id, "manifest-sha256.txt", "listing.txt")
    assert list(await kept(desk)) == ["bagit.txt"]


async def test_a_manifest_renamed_to_another_is_not_that_one(desk):
    await desk.put_all({"manifest-sha256.txt": listing(CSV)})
    await desk.rig.intake.rename_file(desk.lin, desk.draft.id, "manifest-sha256.txt", "manifest-md5.txt")
    assert await kept(desk) == {}


async def test_what_cannot_be_read_is_received_and_completes_nothing(desk):
    await desk.put_all({**bag(CSV, bag_info=None), "manifest-sha256.txt": b"nonsense"})
    assert await desk.passes(seconds=10) is State.OPEN
    assert await desk.waits() == "manifest-unread"


async def test_a_manifest_beyond_the_bounds_is_received_and_not_read(desk):
    memory = desk.rig.intake.reception.memory
    whole = memory.left
    await desk.put_all({"manifest-sha256.txt": b" " * (MAX_MANIFEST + 1)})
    assert "larger" in (await kept(desk))["manifest-sha256.txt"].fault
    memory.left = 10
    await desk.put_all({"manifest-sha256.txt": listing(CSV), "bagit.txt": b"0123456789"})
    found = await kept(desk)
    assert "send it again" in found["manifest-sha256.txt"].fault
    assert found["bagit.txt"].fault, "not the two lines"
    assert memory.left == 10
    memory.left = whole
    upload = await desk.rig.intake.begin(desk.lin, desk.draft.id, "bagit.txt")
    await upload.feed(b"x" * 1000)
    assert memory.left == whole - 1000
    await upload.abort()
    assert memory.left == whole


async def test_only_what_was_recorded_is_read(desk, monkeypatch):
    def missed(capture, chunk):
        """An upload that was resumed: its first bytes did not come this way."""

    monkeypatch.setattr("gateway.flow.manifests.Capture.feed", missed)
    await desk.put_all({"manifest-sha256.txt": listing(CSV)})
    assert "one piece" in (await kept(desk))["manifest-sha256.txt"].fault


async def test_nothing_is_kept_of_a_file_that_was_not_recorded(desk):
    await desk.open()

    def fail() -> None:
        raise StoreError("away")

    desk.rig.records.before_commit = fail
    with pytest.raises(StoreError):
        await desk.put_all({"bagit.txt": b"x"})
    desk.rig.records.before_commit = None
    assert await kept(desk) == {}


# --- who, and what exactly -------------------------------------------------------------------------------------------


async def revoke(desk):
    async with desk.rig.records.write() as tx:
        await tx.revoke("lin-key", "", desk.rig.clock.now())


async def run_out(desk):
    await desk.rig.register(key(valid_to="2026-11-19"))


async def narrow(desk):
    await desk.rig.register(key(scopes=["transfers:open", "transfers:write"]))


async def hand_on(desk):
    await desk.rig.register(key(person="boss"))


@pytest.mark.parametrize("ending", [revoke, run_out, narrow, hand_on])
async def test_a_credential_that_does_not_hold_any_more_submits_nothing(desk, ending):
    await desk.put_all(bag(CSV, bag_info=None))
    await ending(desk)
    assert await desk.passes(seconds=10) is State.OPEN
    assert await desk.waits() == "may-not-submit"
    assert await desk.passes(days=6) is State.OPEN


async def test_files_changed_while_they_are_looked_at_are_not_submitted(desk, monkeypatch):
    await desk.put_all(bag(CSV, bag_info=None))
    submit = desk.rig.intake.submit

    async def late(*given, **named):
        other = CSV["data/a.csv"].replace(b"12", b"13")
        await desk.rig.intake.receive(desk.lin, desk.draft.id, "data/a.csv", chunks(other), Announced())
        return await submit(*given, **named)

    monkeypatch.setattr(desk.rig.intake, "submit", late)
    assert await desk.passes(seconds=10) is State.OPEN
    monkeypatch.undo()
    assert await desk.passes(seconds=10) is State.OPEN
    assert await desk.waits() == "digest-differs"


async def test_what_is_refused_is_noted_and_stays_open(desk):
    await desk.put_all({**bag(CSV, bag_info=None), "A.txt": b"", "a.txt": b""})
    assert await desk.passes(seconds=10) is State.OPEN
    assert await desk.waits() == "cannot-submit"


async def test_a_sender_who_is_quicker_wins(desk):
    await desk.put_all(bag(CSV, bag_info=None))
    looked_at = await desk.now()
    await desk.rig.intake.submit(desk.lin, desk.draft.id)
    after = await desk.rig.completion.step(looked_at)
    assert after.state is State.SUBMITTED
    assert await desk.passes(seconds=10) is State.RECEIPTED
    assert (await desk.submitted())["body"]["by"] == "sender"


async def test_two_workers_submit_once(desk):
    await desk.put_all(bag(CSV, bag_info=None))
    desk.rig.clock.advance(seconds=10)
    seen = await desk.now()
    first, second = await desk.rig.completion.step(seen), await desk.rig.completion.step(seen)
    assert (first.state, second) == (State.SUBMITTED, first)
    assert (await desk.submitted())["body"]["by"] == "bag"


async def test_a_restart_forgets_nothing(quiet):
    await quiet.put_all(CSV)
    assert await quiet.passes(minutes=20) is State.OPEN
    quiet.rig.restart()
    assert await quiet.passes(minutes=9, seconds=59) is State.OPEN
    quiet.rig.restart()
    assert await quiet.passes(seconds=1) is State.RECEIPTED


async def test_a_note_is_not_left_behind(desk):
    await desk.put_all(CSV)
    await desk.passes(seconds=10)
    withdrawn = await desk.rig.intake.withdraw(desk.lin, desk.draft.id)
    assert (withdrawn.state, withdrawn.reason) == (State.WITHDRAWN, "")


# --- quiet time ------------------------------------------------------------------------------------------------------


async def test_quiet_time_submits_when_nothing_changed_for_so_long(quiet):
    await quiet.put_all(CSV)
    assert await quiet.passes(minutes=29, seconds=59) is State.OPEN
    assert await quiet.waits() == "quiet-time"
    assert await quiet.passes(seconds=1) is State.RECEIPTED
    assert (await quiet.submitted())["body"]["by"] == "quiet-time"


async def test_every_change_starts_quiet_time_again(quiet):
    await quiet.put_all({**CSV, "x.txt": b"x"})
    await quiet.passes(minutes=29)
    await quiet.rig.intake.drop_file(quiet.lin, quiet.draft.id, "x.txt")
    assert await quiet.passes(minutes=29) is State.OPEN
    assert await quiet.passes(minutes=1) is State.RECEIPTED


async def test_a_gateway_that_slept_counts_from_the_last_change(quiet):
    await quiet.put_all(CSV)
    assert await quiet.passes(minutes=30) is State.RECEIPTED


async def test_quiet_time_waits_for_a_bag_that_is_not_whole(quiet):
    await quiet.put_all(bag(CSV, manifest_sha256=listing({**CSV, "data/b": b""}), bag_info=None))
    assert await quiet.passes(days=6) is State.OPEN


async def test_quiet_time_waits_for_a_connection_to_end_in_order(quiet):
    await quiet.open()
    await quiet.rig.intake.connected(quiet.lin, quiet.draft.id, "c1")
    await quiet.put_all(CSV)
    assert await quiet.passes(minutes=30) is State.OPEN
    assert await quiet.waits() == "connected"
    quiet.rig.restart()  # the process died: nobody will say how it ended
    assert await quiet.passes(days=1) is State.OPEN
    await quiet.rig.intake.disconnected(quiet.draft.id, "c1", lost=False)
    assert await quiet.passes(seconds=30) is State.RECEIPTED


async def test_a_connection_lost_since_the_last_write_stops_quiet_time_until_the_next(quiet):
    await quiet.open()
    await quiet.rig.intake.connected(quiet.lin, quiet.draft.id, "c1")
    await quiet.put_all(CSV)
    await quiet.rig.intake.disconnected(quiet.draft.id, "c1", lost=True)
    assert await quiet.passes(days=1) is State.OPEN
    assert await quiet.waits() == "connection-lost"
    await quiet.put_all({"data/b.csv": b"b"})
    assert await quiet.passes(minutes=30) is State.RECEIPTED


async def test_a_draft_nobody_wrote_to_is_never_submitted(quiet):
    await quiet.open()
    assert await quiet.passes(days=6) is State.OPEN


async def test_a_root_that_is_not_the_one_looked_at_is_a_conflict(desk):
    await desk.put_all(CSV)
    with pytest.raises(Conflict, match="changed"):
        await desk.rig.intake.submit(desk.lin, desk.draft.id, root="00" * 32)


async def test_a_row_altered_by_hand_completes_nothing(desk):
    await desk.put_all(bag(CSV, bag_info=None))
    state = desk.rig.records.state
    at = (desk.draft.id, "manifest-sha256.txt")
    altered = json.loads('{"entries": ["data/a.csv"], "algorithm": "sha256"}')
    state.manifests[at] = type(state.manifests[at])(at[1], "manifest", altered, state.manifests[at].sha256)
    assert await desk.passes(seconds=10) is State.OPEN
    assert await desk.waits() == "manifest-unread"
