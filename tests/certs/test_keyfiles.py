"""Private keys are born private, and never replaced."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from certs import keyfiles
from certs.crypt4ghkeys import make_crypt4gh_key
from certs.jwtkeys import make_jwt_key
from certs.keyfiles import KeyFiles, make_key_folder, write_private, write_public
from certs.ledgerkeys import make_signing_key
from certs.sshkeys import make_ssh_key
from gateway.core.errors import Conflict, StoreError, Unusable

Make = Callable[[Path, str], KeyFiles]
MAKERS: dict[str, Make] = {
    "crypt4gh": make_crypt4gh_key,
    "jwt-es256": make_jwt_key,
    "jwt-eddsa": lambda folder, name: make_jwt_key(folder, name, "EdDSA"),
    "ledger": lambda folder, name: make_signing_key(folder, name, "gateway.example.cn/ledger"),
    "ssh": lambda folder, name: make_ssh_key(folder, name, "gateway@hetao"),
}


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Make:
    return MAKERS[request.param]


@pytest.fixture
def careless_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("careless_umask")
def test_a_private_key_is_for_its_owner_whatever_the_umask(make: Make, tmp_path: Path) -> None:
    made = make(tmp_path / "new" / "keys", "key")
    assert mode(made.private) == 0o600
    assert mode(made.private.parent) == 0o700
    assert mode(made.public) == 0o644
    assert made.identity
    assert "\n" not in made.identity


def test_no_mode_is_ever_changed_after_creation(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_arguments: object, **_named: object) -> None:
        raise AssertionError("a chmod after creation leaves a moment in which others read")

    for name in ("chmod", "fchmod"):
        monkeypatch.setattr(os, name, forbidden)
    monkeypatch.setattr(Path, "chmod", forbidden)
    make(tmp_path / "keys", "key")


def test_a_key_is_born_exclusively(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[int, int]] = []
    real = os.open

    def look(path: os.PathLike[str], flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            opened.append((flags, mode))
        return real(path, flags, mode)

    monkeypatch.setattr(keyfiles.os, "open", look)
    make(tmp_path / "keys", "key")
    assert [mode for _, mode in opened] == [0o600, 0o644]
    assert all(flags & os.O_EXCL and flags & os.O_NOFOLLOW for flags, _ in opened)


def test_an_existing_key_is_never_replaced(make: Make, tmp_path: Path) -> None:
    first = make(tmp_path / "keys", "key")
    before = first.private.read_bytes(), first.public.read_bytes()
    with pytest.raises(Conflict):
        make(tmp_path / "keys", "key")
    assert (first.private.read_bytes(), first.public.read_bytes()) == before


def test_where_only_the_public_half_exists_nothing_is_written(make: Make, tmp_path: Path) -> None:
    first = make(tmp_path / "keys", "key")
    first.private.unlink()
    with pytest.raises(Conflict):
        make(tmp_path / "keys", "key")
    assert not first.private.exists()


def test_two_keys_are_two_keys(make: Make, tmp_path: Path) -> None:
    first, second = make(tmp_path / "keys", "a"), make(tmp_path / "keys", "b")
    assert first.identity != second.identity
    assert first.private.read_bytes() != second.private.read_bytes()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", "a\nb", "../key"])
def test_a_name_is_a_plain_file_name(make: Make, tmp_path: Path, name: str) -> None:
    with pytest.raises(Unusable):
        make(tmp_path / "keys", name)


@pytest.mark.parametrize("open_to", [0o750, 0o701, 0o770, 0o755, 0o777])
def test_a_folder_that_others_may_enter_is_refused_not_mended(make: Make, tmp_path: Path, open_to: int) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys").chmod(open_to)
    with pytest.raises(Unusable, match="open to others"):
        make(tmp_path / "keys", "key")
    assert list((tmp_path / "keys").iterdir()) == []
    assert mode(tmp_path / "keys") == open_to


def test_a_link_in_the_keys_place_is_not_followed(tmp_path: Path) -> None:
    folder = make_key_folder(tmp_path / "keys")
    (folder / "key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Conflict):
        write_private(folder / "key", b"secret")
    assert not (tmp_path / "elsewhere").exists()


def test_a_disk_that_refuses_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError):
        write_public(tmp_path / "missing" / "key.pub", b"x")
    with pytest.raises(StoreError):
        write_private(tmp_path / "file" / "key", b"x")
