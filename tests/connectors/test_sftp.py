"""What only an SFTP endpoint can get wrong, against a real server."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import asyncssh
import pytest

from certs.sshkeys import make_ssh_key
from connectors.naming import lay_out
from connectors.sftp import session
from connectors.sftp.client import WINDOW_BYTES
from connectors.sftp.connector import SftpConnector
from gateway.core.errors import EndpointError
from tests.connectors.cargo import FOLDER, HEADER, LARGE, SMALL, MemorySource, expected, noise, pack
from tests.connectors.sftp_server import SftpServerThread
from tests.connectors.sites import Site, read_tree, sftp_site, write_file
from tests.fakes.channel import FakeChannel


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def site(tmp_path: Path, stack: ExitStack) -> Site:
    return sftp_site(tmp_path, stack)


def refusal(site: Site) -> EndpointError:
    with pytest.raises(EndpointError) as refused:
        site.connector().deliver(pack(SMALL), MemorySource(SMALL))
    return refused.value


def test_another_host_key_ends_it_before_any_login(site: Site) -> None:
    stranger = make_ssh_key(site.more["keys"], "other-host", "x")
    site.more["settings"]["host_key"] = stranger.public.read_text().strip()
    refused = refusal(site)
    assert (refused.retry, refused.code) == (False, "host-key-mismatch")
    assert site.more["trouble"].logins == 0


def test_a_server_without_an_ed25519_key_is_refused(tmp_path: Path, stack: ExitStack, site: Site) -> None:
    asyncssh.generate_private_key("ecdsa-sha2-nistp256").write_private_key(tmp_path / "ecdsa")
    server = SftpServerThread(tmp_path, tmp_path / "ecdsa", site.more["keys"] / "user.pub")
    stack.callback(server.stop)
    site.more["settings"]["port"] = server.port
    refused = refusal(site)
    assert refused.retry is False
    assert "Ed25519" in refused.message
    assert server.trouble.logins == 0


def test_only_algorithms_of_today_are_offered(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    offers: list[tuple[str, ...]] = []
    real = session._authenticated

    def look(transport, peer, key):
        options = transport.get_security_options()
        offers.extend([options.kex, options.ciphers, options.digests, options.key_types, options.compression])
        return real(transport, peer, key)

    monkeypatch.setattr(session, "_authenticated", look)
    site.connector().probe()
    flat = [name for names in offers for name in names]
    assert all(offers)
    assert not [name for name in flat if any(old in name for old in ("sha1", "md5", "cbc", "rsa", "3des", "group"))]
    assert offers[4] == ("none",)


def test_an_address_outside_the_ranges_is_never_dialled(site: Site) -> None:
    site.more["settings"]["ranges"] = ["203.0.113.0/28"]
    refused = refusal(site)
    assert (refused.retry, refused.code) == (False, "outside-ranges")
    assert site.more["trouble"].logins == 0


@pytest.mark.parametrize("content", [b"", b"not a key", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
def test_a_key_file_that_is_none_is_a_permanent_error(site: Site, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    site.more["settings"]["private_key_file"] = str(tmp_path / "key")
    assert (refusal(site).retry, refusal(site).code) == (False, "endpoint-credential")


def test_a_key_under_a_passphrase_or_missing_is_a_permanent_error(site: Site, tmp_path: Path) -> None:
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "locked", passphrase="secret")
    for name in ("locked", "missing"):
        site.more["settings"]["private_key_file"] = str(tmp_path / name)
        assert (refusal(site).retry, refusal(site).code) == (False, "endpoint-credential")


@pytest.mark.parametrize("base", ["/nowhere", "/in/nowhere"])
def test_a_base_that_is_missing_is_permanent_and_never_made(site: Site, base: str) -> None:
    site.more["settings"]["base"] = base
    assert refusal(site).retry is False
    assert list(site.more["root"].iterdir()) == []


def test_a_base_that_is_a_file_is_permanent(site: Site) -> None:
    (site.more["root"] / "file").write_bytes(b"x")
    site.more["settings"]["base"] = "/in/file"
    assert refusal(site).retry is False


@pytest.mark.parametrize("operation", ["mkdir", "open", "write", "rename"])
def test_permission_denied_is_permanent_and_the_servers_text_stays_out(site: Site, operation: str) -> None:
    site.more["trouble"].deny.add(operation)
    refused = refusal(site)
    assert refused.retry is False
    assert "张三" not in refused.message


@pytest.mark.parametrize("limit", [0, 1_000, HEADER + 70_000])
def test_a_full_disk_is_noticed_and_may_be_tried_again(site: Site, limit: int) -> None:
    site.more["trouble"].fail_write_at = limit
    assert refusal(site).retry is True
    assert f"{FOLDER}/manifest.json" not in site.published()
    site.more["trouble"].fail_write_at = None
    site.connector().deliver(pack(SMALL), MemorySource(SMALL))
    assert site.everything() == expected(SMALL, pack(SMALL))


def test_a_server_that_says_nothing_is_given_up(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        site.more["settings"].update(port=silent.getsockname()[1], handshake_timeout=1)
        assert refusal(site).retry is True


def test_a_server_that_is_away_may_be_tried_again(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        site.more["settings"]["port"] = gone.getsockname()[1]
    assert refusal(site).retry is True


def place_leftover(site: Site, content: bytes) -> str:
    placed = lay_out(pack(LARGE)).placed[1]
    path = "/".join((*placed.folder, placed.temporary))
    write_file(site.more["root"], path, content)
    return path


def sent_of_large(site: Site) -> int:
    """Bytes of the large parcel that the next attempt sends; it must end well."""
    there = sum(len(content) for path, content in site.published().items() if path.endswith("first.csv.c4gh"))
    delivery = site.connector().deliver(pack(LARGE), MemorySource(LARGE))
    assert site.everything() == expected(LARGE, pack(LARGE))
    consignment = pack(LARGE)
    others = len(LARGE["first.csv.c4gh"]) - there + len(consignment.manifest) + len(consignment.signature)
    return delivery.sent - others


def test_a_leftover_of_ours_is_continued_a_window_before_its_end(site: Site) -> None:
    whole = LARGE["large.bam.c4gh"]
    place_leftover(site, whole[: 4 << 20])
    assert sent_of_large(site) == len(whole) - (4 << 20) + WINDOW_BYTES


def test_a_hole_in_the_last_window_is_filled(site: Site) -> None:
    whole = LARGE["large.bam.c4gh"]
    hole = (4 << 20) - WINDOW_BYTES + 5
    place_leftover(site, whole[:hole] + bytes(100_000) + whole[hole + 100_000 : 4 << 20])
    assert sent_of_large(site) < len(whole)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda kept: kept[: 1 << 20],
        lambda kept: b"\0" * HEADER + kept[HEADER:],
        lambda kept: kept[: (2 << 20) - 10] + b"?" * 20 + kept[(2 << 20) + 10 :],
        lambda kept: kept + noise("more", 1 << 23),
        lambda _: b"",
    ],
)
def test_a_leftover_that_is_short_or_not_ours_is_begun_again(site: Site, spoil) -> None:
    whole = LARGE["large.bam.c4gh"]
    place_leftover(site, spoil(whole[: 4 << 20]))
    assert sent_of_large(site) == len(whole)


@pytest.mark.parametrize("verify", ["size", "readback"])
def test_damage_far_inside_a_leftover_costs_one_attempt(tmp_path: Path, stack: ExitStack, verify: str) -> None:
    site = sftp_site(tmp_path, stack, verify=verify)
    whole = LARGE["large.bam.c4gh"]
    # 1 MiB of zeros: what a server's power failure leaves. Samples find that; a single byte only read-back finds.
    size = 1 << 20 if verify == "size" else 1
    place_leftover(site, whole[: 1 << 19] + bytes([whole[1 << 19] ^ 1]) * size + whole[(1 << 19) + size : 4 << 20])
    with pytest.raises(EndpointError) as refused:
        site.connector().deliver(pack(LARGE), MemorySource(LARGE))
    assert (refused.value.retry, refused.value.code) == (True, "readback")
    assert site.leftovers() == []
    assert sent_of_large(site) == len(whole)


def test_a_link_or_folder_in_our_place_is_foreign(site: Site, tmp_path: Path) -> None:
    folder = site.more["root"] / FOLDER
    folder.mkdir(parents=True)
    target = site.more["root"] / "target"
    target.write_bytes(SMALL["a.csv.c4gh"])
    (folder / "a.csv.c4gh").symlink_to(target)
    assert (refusal(site).retry, refusal(site).code) == (False, "foreign-content")
    (folder / "a.csv.c4gh").unlink()
    (folder / "a.csv.c4gh").mkdir()
    assert refusal(site).code == "foreign-content"


def test_a_name_that_appears_in_the_last_moment_is_not_overwritten(site: Site) -> None:
    files = {"a.csv.c4gh": SMALL["a.csv.c4gh"]}

    def beaten() -> None:
        site.put(f"{FOLDER}/a.csv.c4gh", b"theirs")

    with pytest.raises(EndpointError):
        site.connector().deliver(pack(files), MemorySource(files, watch=beaten))
    with pytest.raises(EndpointError) as refused:
        site.connector().deliver(pack(files), MemorySource(files))
    assert (refused.value.retry, refused.value.code) == (False, "foreign-content")
    assert site.published() == {f"{FOLDER}/a.csv.c4gh": b"theirs"}


def test_names_stay_out_of_the_logs(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    site.connector().deliver(pack(SMALL), MemorySource(SMALL))
    paramiko_said = [record for record in caplog.records if record.name.startswith(("paramiko", "connectors"))]
    assert not [record for record in paramiko_said if record.levelno < logging.WARNING]


def test_no_thread_or_connection_outlives_a_delivery(site: Site) -> None:
    import threading

    site.connector().probe()
    assert not [thread for thread in threading.enumerate() if type(thread).__module__.startswith("paramiko")]
    assert not [thread for thread in threading.enumerate() if thread.name == "sftp-watchdog"]


def test_the_literal_address_of_a_server_will_do(site: Site) -> None:
    site.more["settings"].update(host="127.0.0.1", base="/in/")
    connector = SftpConnector(site.more["settings"], FakeChannel())
    connector.deliver(pack(SMALL), MemorySource(SMALL))
    assert read_tree(site.more["root"]) == expected(SMALL, pack(SMALL))
