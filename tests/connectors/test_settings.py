"""Every connector validates its settings at once and names the key."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from connectors.directory import DirectoryConnector
from connectors.https import HttpsConnector
from connectors.sftp import SftpConnector
from gateway.core.errors import Unusable
from tests.fakes.channel import FakeChannel

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl root@hk"
KINDS = {"directory": DirectoryConnector, "https": HttpsConnector, "sftp": SftpConnector}
GOOD: Mapping[str, Mapping[str, object]] = {
    "directory": {"path": "/srv/hk"},
    "https": {"base_url": "https://hk.example/drop", "ranges": ["203.0.113.0/28"]},
    "sftp": {
        "host": "hk.example",
        "ranges": ["203.0.113.0/28", "2001:db8::/64"],
        "username": "gateway",
        "private_key_file": "/etc/hetao/hk",
        "host_key": HOST_KEY,
        "base": "/in",
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_least_settings_are_enough(kind: str) -> None:
    assert KINDS[kind](GOOD[kind], FakeChannel()).kind == kind


@pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind, keys in GOOD.items() for key in keys])
def test_each_of_them_is_needed_and_named(kind: str, key: str) -> None:
    settings = {name: value for name, value in GOOD[kind].items() if name != key}
    with pytest.raises(Unusable, match=f"'{key}' is missing"):
        KINDS[kind](settings, FakeChannel())


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_key_is_refused_and_named(kind: str) -> None:
    with pytest.raises(Unusable, match="unknown setting 'range'"):
        KINDS[kind]({**GOOD[kind], "range": ["0.0.0.0/0"]}, FakeChannel())


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("directory", "path", "srv/hk"),
        ("directory", "path", ""),
        ("directory", "path", 7),
        ("directory", "path", "/srv/\n"),
        ("https", "ranges", []),
        ("https", "ranges", "203.0.113.0/28"),
        ("https", "ranges", [7]),
        ("https", "ranges", ["203.0.113.1/28"]),
        ("https", "base_url", "http://hk.example/"),
        ("https", "base_url", "https://user:secret@hk.example/"),
        ("https", "base_url", "https://hk.example/?a=b"),
        ("https", "base_url", "https://hk.example/#x"),
        ("https", "base_url", "https://hk.example:99999/"),
        ("https", "base_url", "https:///nohost"),
        ("https", "base_url", "https://hk.example/a b"),
        ("https", "base_url", "https://[::1"),
        ("https", "client_cert_file", "/etc/hetao/client.crt"),
        ("https", "client_key_file", "/etc/hetao/client.key"),
        ("https", "tls_minimum", "1.1"),
        ("https", "atomic", "copy"),
        ("https", "verify", "never"),
        ("https", "io_timeout", 0),
        ("sftp", "port", 0),
        ("sftp", "port", 65_536),
        ("sftp", "port", "22"),
        ("sftp", "port", True),
        ("sftp", "verify", "checksum"),
        ("sftp", "private_key_file", "~/.ssh/id_ed25519"),
        ("sftp", "host_key", "SHA256:2wzKFu0Ej1u8iSF9aWhGX0pTUYzi2eqGuZ4ZQd3mY6o"),
        ("sftp", "host_key", "ssh-ed25519"),
        ("sftp", "host_key", "ssh-ed25519 AAAA"),
        ("sftp", "host_key", "hk.example " + HOST_KEY),
        ("sftp", "host_key", HOST_KEY.replace("ssh-ed25519", "ssh-rsa")),
        ("sftp", "host_key", "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBA=="),
    ],
)
def test_a_value_of_the_wrong_form_is_refused_and_its_key_named(kind: str, key: str, value: object) -> None:
    with pytest.raises(Unusable, match="setting '") as refused:
        KINDS[kind]({**GOOD[kind], key: value}, FakeChannel())
    named = {"client_cert_file": "client_key_file"}.get(key, key)
    assert f"'{named}'" in refused.value.message
    assert "secret" not in refused.value.message
