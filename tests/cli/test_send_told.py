"""What `hetao send` is told and remembers: profiles, the environment, keys of files and of ssh-agent, the state."""

from __future__ import annotations

import asyncio
import json
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from gateway.cli.dataset import LocalFile
from gateway.cli.send import keys
from gateway.cli.send.connection import parse_url
from gateway.cli.send.profile import make_profile
from gateway.cli.send.receipts import parse_pin
from gateway.cli.send.signin import make_assertion
from gateway.cli.send.state import Memory, StateFile, Target, Underway, open_state, parse_memory, state_folder
from gateway.core.errors import Conflict, NotAuthenticated, Unusable
from gateway.identity.jwk import parse_jwk, public_jwk
from gateway.settings import load_settings
from tests.interop.sftp_world import need

TARGET = Target("https://gw:8443", "lab", "hku", "trial", "birds", ("/data/birds",))


# --- profile -------------------------------------------------------------------------------------------------------------


def test_the_command_line_goes_before_the_environment_before_the_profile(tmp_path: Path):
    file = tmp_path / "send.toml"
    file.write_text('gateway = "https://one"\nclient = "one"\nproject = "one"\nkey = "k"\nparallel = 2\n')
    environment = {"HETAO_SEND_CLIENT": "two", "HETAO_SEND_PROJECT": "two", "HETAO_CONFIG": "gateway.toml", "HOME": "/"}
    told = make_profile({"project": "three", "to": "", "key": None, "parallel": 0}, file, environment)
    assert [told.text(name) for name in ("gateway", "client", "project")] == ["https://one", "two", "three"]
    assert (told.number("parallel"), told.number("patience")) == (2, 600)
    assert told.path("key") == tmp_path / "k"  # beside the profile that names it
    assert told.path("cert") is None


def test_the_users_own_profile_is_read_where_there_is_one(tmp_path: Path):
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert make_profile({}, None, environment).text("gateway") == ""
    (tmp_path / "hetao").mkdir()
    (tmp_path / "hetao" / "send.toml").write_text('gateway = "https://one"\n')
    assert make_profile({}, None, environment).text("gateway") == "https://one"


@pytest.mark.parametrize(
    ("profile", "environment", "complaint"),
    [
        ('gatway = "x"', {}, "unknown name 'gatway'"),
        ("gateway = 1", {}, "gateway .* must be a string"),
        ('parallel = "many"', {}, "parallel .* whole number"),
        ("parallel = true", {}, "parallel .* whole number"),
        ("parallel = 65", {}, "parallel is 1 to 64"),
        ("[other]\nx = 1", {}, "unknown name 'other'"),
        ("", {"HETAO_SEND_PASSWORD": "x"}, "unknown name 'password' in the environment"),
        ("", {"HETAO_SEND_PARALLEL": "0"}, "parallel is 1 to 64"),
        ("gateway", {}, "is not TOML"),
    ],
)
def test_what_nobody_knows_is_refused(tmp_path: Path, profile, environment, complaint):
    file = tmp_path / "send.toml"
    file.write_text(profile)
    with pytest.raises(Unusable, match=complaint):
        make_profile({}, file, environment)


def test_what_is_missing_is_said_with_where_to_tell_it():
    with pytest.raises(Unusable, match=r"--gateway-key, HETAO_SEND_GATEWAY_KEY, or gateway_key in the profile"):
        make_profile({}, None, {"XDG_CONFIG_HOME": "/nowhere"}).need("gateway_key")


def test_a_gateways_settings_leave_the_senders_variables_alone():
    load_settings(None, {"HETAO_SEND_GATEWAY": "https://gw"})
    with pytest.raises(Unusable, match="unknown setting"):
        load_settings(None, {"HETAO_SENT_GATEWAY": "https://gw"})


@pytest.mark.parametrize(
    "url", ["https://gw.example:8443", "https://gw.example/", "http://127.0.0.1:1", "http://localhost"]
)
def test_a_gateway_is_an_origin(url):
    assert parse_url(url).path == "/"


@pytest.mark.parametrize(
    "url", ["gw.example", "http://gw.example", "https://gw/v1", "https://gw?x=1", "ftp://gw", "https://"]
)
def test_anything_else_is_no_gateway(url):
    with pytest.raises(Unusable, match="--gateway is a URL"):
        parse_url(url)


@pytest.mark.parametrize(
    ("given", "pin"),
    [("", ""), ("ssh-ed25519 AAAA a b", "ssh-ed25519 AAAA"), ("name+aa+BB", "name+aa+BB"), (None, "ssh-ed25519 AAAA")],
)
def test_a_pinned_key_is_given_itself_or_by_its_file(tmp_path: Path, given, pin):
    if given is None:
        (tmp_path / "signing.pub").write_text("ssh-ed25519 AAAA gateway\n")
        given = str(tmp_path / "signing.pub")
    assert parse_pin(given) == pin


# --- keys ----------------------------------------------------------------------------------------------------------------


def write_key(path: Path, key, form: PrivateFormat, passphrase: str = "") -> Path:
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    path.write_bytes(key.private_bytes(Encoding.PEM, form, encryption))
    path.chmod(0o600)
    return path


def verified(key, assertion: str) -> dict:
    verifying = parse_jwk(public_jwk(key.public_key()))
    header, _ = verifying.verified(assertion)
    assert header == {"typ": "JWT", "alg": verifying.algorithm}
    return jwt.decode(
        assertion, jwt.PyJWK(dict(verifying.jwk)), [verifying.algorithm], audience="https://gw/oauth2/token"
    )


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.OpenSSH], ids=str)
@pytest.mark.parametrize(
    "key", [Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())], ids=lambda k: type(k).__name__
)
async def test_an_assertion_is_one_the_gateway_takes(tmp_path: Path, key, form):
    signing = keys.open_key(write_key(tmp_path / "key", key, form))
    now = int(time.time())
    claims = verified(key, await make_assertion("lab", "https://gw/oauth2/token", signing, now))
    assert (claims["iss"], claims["sub"], claims["exp"]) == ("lab", "lab", now + 60)
    again = verified(key, await make_assertion("lab", "https://gw/oauth2/token", signing, now))
    assert again["jti"] != claims["jti"]


def test_keys_that_cannot_be_used_are_refused_with_what_to_do(tmp_path: Path):
    ed = Ed25519PrivateKey.generate()
    locked = write_key(tmp_path / "locked", ed, PrivateFormat.PKCS8, "secret")
    with pytest.raises(Unusable, match=r"ssh-add .*locked.* name .*locked\.pub"):
        keys.open_key(locked)
    with pytest.raises(Unusable, match="neither an Ed25519 nor a P-256"):
        keys.open_key(write_key(tmp_path / "rsa", rsa.generate_private_key(65537, 2048), PrivateFormat.PKCS8))
    with pytest.raises(Unusable, match="neither an Ed25519 nor a P-256"):
        keys.open_key(write_key(tmp_path / "p384", ec.generate_private_key(ec.SECP384R1()), PrivateFormat.PKCS8))
    seen = write_key(tmp_path / "seen", ed, PrivateFormat.PKCS8)
    seen.chmod(0o644)
    with pytest.raises(Unusable, match="chmod 600"):
        keys.open_key(seen)
    seen.write_text("no key")
    seen.chmod(0o600)
    with pytest.raises(Unusable, match="no private key"):
        keys.open_key(seen)
    (tmp_path / "sk.pub").write_text("sk-ssh-ed25519@openssh.com AAAA x\n")
    with pytest.raises(Unusable, match="must be one of"):
        keys.open_key(tmp_path / "sk.pub")
    (tmp_path / "broken.pub").write_text("ssh-ed25519 ???\n")
    with pytest.raises(Unusable, match="no public key"):
        keys.open_key(tmp_path / "broken.pub")


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """OpenSSH's own agent."""
    socket = tmp_path / "s"
    process = subprocess.Popen([need("ssh-agent"), "-D", "-a", str(socket)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()  # it says where it listens once it does
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    yield
    process.terminate()
    process.communicate(timeout=20)


@pytest.mark.parametrize("kind", [("ed25519", "256"), ("ecdsa", "256")], ids=lambda kind: kind[0])
@pytest.mark.usefixtures("agent")
def test_ssh_agent_signs_with_a_key_nobody_here_can_read(tmp_path: Path, kind):
    made = tmp_path / "id"
    subprocess.run([need("ssh-keygen"), "-q", "-t", kind[0], "-b", kind[1], "-N", "", "-f", made], check=True)
    key = keys.load_ssh_private_key(made.read_bytes(), password=None)
    subprocess.run([need("ssh-add"), "-q", made], check=True)
    made.unlink()
    signing = keys.open_key(made.with_suffix(".pub"))
    now = int(time.time())
    for _ in range(20):  # numbers of a signature are shorter now and then
        assertion = asyncio.run(make_assertion("lab", "https://gw/oauth2/token", signing, now))
        assert verified(key, assertion)["sub"] == "lab"
    subprocess.run([need("ssh-add"), "-q", "-D"], check=True)
    with pytest.raises(NotAuthenticated, match="was the key added"):
        asyncio.run(signing.sign(b"x"))


async def test_no_agent_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "nothing"))
    line = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    with pytest.raises(NotAuthenticated, match="SSH_AUTH_SOCK"):
        await keys.AgentKey(line).sign(b"x")


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"\0\0\0\x09ssh-ed25519",
        b"\0\0\0\x0bssh-ed25519\0\0\0\x02ab",
        b"\0\0\0\x07ssh-rsa\0\0\0\x40" + b"a" * 64,
        b"\0\0\0\x0bssh-ed25519\0\0\0\x40" + b"a" * 65,
    ],
)
def test_a_signature_of_another_form_is_none(signature):
    with pytest.raises(ValueError, match="signature"):
        keys.from_ssh(signature)


# --- state ---------------------------------------------------------------------------------------------------------------


def local(path: str = "a", size: int = 3) -> LocalFile:
    return LocalFile(path, Path("/nowhere"), size, 5, 7)


def test_what_was_remembered_is_there_for_the_next_run(tmp_path: Path):
    folder = tmp_path / "state"
    with open_state(folder, TARGET) as state:
        key = state.memory.key
        state.memory.transfer = "t1"
        state.under_way("数据.bam", Underway("/files/ab", 3, "cd"))
        state.keep_sum(local(), "ef")
    with open_state(folder, TARGET) as state:
        assert (state.memory.key, state.memory.transfer) == (key, "t1")
        assert state.memory.uploads == {"数据.bam": Underway("/files/ab", 3, "cd")}
        assert (state.sum_of(local()), state.sum_of(local(size=4)), state.sum_of(local("b"))) == ("ef", "", "")
        state.under_way("数据.bam", None)
        state.begin()
        assert state.memory.key != key
    with open_state(folder, TARGET) as state:
        assert state.memory.uploads == {}
        assert state.memory.key != key
        assert state.sum_of(local()) == "ef"


def test_the_state_is_for_its_owner_alone(tmp_path: Path):
    folder = tmp_path / "state"
    with open_state(folder, TARGET) as state:
        state.save()
        state.keep_sum(local(), "ef")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {0o600}


def test_another_target_has_another_state():
    others = [Target(**{**vars(TARGET), name: "x"}) for name in ("gateway", "client", "endpoint", "project", "dataset")]
    assert len({each.name for each in (*others, TARGET)}) == 6


def test_one_run_at_a_time(tmp_path: Path):
    with (
        open_state(tmp_path, TARGET),
        pytest.raises(Conflict, match="another `hetao send`"),
        open_state(tmp_path, TARGET),
    ):
        pass
    with open_state(tmp_path, TARGET):
        pass


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"v": 2}', b'{"v":1,"key":"","transfer":"","submitted":"","uploads":{}}', b"\xff"]
)
def test_a_state_that_cannot_be_read_begins_anew(tmp_path: Path, content):
    (tmp_path / f"{TARGET.name}.json").write_bytes(content)
    with open_state(tmp_path, TARGET) as state:
        assert state.memory.key
        assert (state.memory.transfer, state.memory.uploads) == ("", {})


def test_a_torn_line_is_no_line_and_hurts_no_other(tmp_path: Path):
    with open_state(tmp_path, TARGET) as state:
        state.keep_sum(local("a"), "aa")
        sums = tmp_path / f"{TARGET.name}.sums"
        with sums.open("ab") as opened:
            opened.write(b'\n["b", 3, 5')
        state.keep_sum(local("c"), "cc")
    with open_state(tmp_path, TARGET) as state:
        assert [state.sum_of(local(name)) for name in "abc"] == ["aa", "", "cc"]


def test_sums_do_not_grow_for_ever(tmp_path: Path):
    with open_state(tmp_path, TARGET) as state:
        for number in range(1100):
            state.keep_sum(local("a", number), "aa")
    before = (tmp_path / f"{TARGET.name}.sums").stat().st_size
    with open_state(tmp_path, TARGET) as state:
        assert state.sum_of(local("a", 1099)) == "aa"
    assert (tmp_path / f"{TARGET.name}.sums").stat().st_size < before / 500


def test_the_folder_is_where_the_standard_says(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/lin")
    assert state_folder({"XDG_STATE_HOME": "/state"}) == Path("/state/hetao/send")
    assert state_folder({"XDG_STATE_HOME": "relative"}) == Path("/home/lin/.local/state/hetao/send")


def test_a_memory_survives_json(tmp_path: Path):
    memory = Memory("k", "t", {"a": Underway("/files/1", 2, "ab")}, "m")
    document = json.loads(
        json.dumps(
            {
                "v": 1,
                "key": "k",
                "transfer": "t",
                "submitted": "m",
                "uploads": {"a": {"address": "/files/1", "size": 2, "sha256": "ab"}},
            }
        )
    )
    assert parse_memory(document) == memory
    assert isinstance(StateFile(tmp_path, "none").memory, Memory)
