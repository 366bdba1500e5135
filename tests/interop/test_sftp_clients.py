"""The SFTP door before the programs people bring: OpenSSH's sftp, scp and ssh, rclone, lftp, sshfs, paramiko."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import paramiko
import pytest

from tests.interop.sftp_world import BASE, DECLARATION, Cutter, SftpWorld, make_world, need

CONTENT = hashlib.shake_256(b"content").digest(3_000_000)
BIG = 64 << 20


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory):
    made = make_world(tmp_path_factory.mktemp("sftp"))
    yield made
    made.running.world.stop()


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "declaration.toml").write_text(DECLARATION)
    return tmp_path


def tree(folder: Path, count: int = 20) -> dict[str, bytes]:
    """Files in folders, with names of any language and sizes around the segment's."""
    made = {
        f"d{number % 3}/f{number}.bin": hashlib.shake_256(str(number).encode()).digest(number * 4000)
        for number in range(count)
    }
    made |= {"鸟 观察.csv": b"island,birds\nlamma,12\n", "empty": b"", "d0/seg": b"x" * 65536}
    for path, content in made.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return made


def arrived(world: SftpWorld, dataset: str, made: dict[str, bytes]) -> None:
    """Every file has the right digest, by the gateway's own word."""
    said = world.sums(*(f"{BASE}/{dataset}/{path}" for path in made))
    assert said == {f"{BASE}/{dataset}/{path}": sha256(content) for path, content in made.items()}


def test_openssh_sftp_sends_a_folder_and_submits_it(world, here):
    source = here / "tree"
    made = tree(source)
    shutil.copy(here / "declaration.toml", source)
    (here / "SUBMIT").touch()
    world.sftp(f"mkdir {BASE}/openssh\nput -r {source}/* {BASE}/openssh/")
    arrived(world, "openssh", made)
    assert set(world.listed(f"{BASE}/openssh")) == {"d0", "d1", "d2", "empty", "declaration.toml", "鸟 观察.csv"}
    (here / "SUBMIT").write_text("".join(f"{sha256(content)}  {path}\n" for path, content in made.items()))
    world.sftp(f"put {here}/SUBMIT {BASE}/openssh/SUBMIT", fails=True)  # the declaration is received and not listed
    with (here / "SUBMIT").open("a") as listing:
        listing.write(f"{sha256((here / 'declaration.toml').read_bytes())}  declaration.toml\n")
    world.sftp(f"put {here}/SUBMIT {BASE}/openssh/SUBMIT")
    world.until("openssh", "held")  # random bytes cannot be inspected: rule D10


def test_a_table_sent_by_sftp_is_delivered_and_receipted(world, here):
    (here / "birds.csv").write_bytes(b"island,birds\nlamma,12\n" * 50)
    (here / "SUBMIT").touch()
    world.sftp(
        f"put {here}/declaration.toml {BASE}/table/declaration.toml\nput {here}/birds.csv {BASE}/table/birds.csv\n"
        f"put {here}/SUBMIT {BASE}/table/SUBMIT"
    )
    world.until("table", "receipted")
    world.sftp(f"get /receipts/hku-genomics/island-ecology/table.v1.json {here}/receipt.json")
    assert "birds" not in (here / "receipt.json").read_text() or (here / "receipt.json").stat().st_size
    assert world.listed(f"{BASE}/table")["birds.csv"] == (here / "birds.csv").stat().st_size


def test_openssh_renames_lists_removes_and_keeps_times(world, here):
    file = here / "a.csv"
    file.write_bytes(CONTENT)
    os.utime(file, (1_700_000_000, 1_700_000_000))
    world.sftp(f"put -p {file} {BASE}/moves/a.csv.filepart\nrename {BASE}/moves/a.csv.filepart {BASE}/moves/a.csv")
    assert world.listed(f"{BASE}/moves") == {"a.csv": len(CONTENT)}
    assert "Nov 14" in world.sftp(f"ls -l {BASE}/moves").stdout
    world.sftp(f"put -f {file} {BASE}/moves/b.csv\nrm {BASE}/moves/a.csv")
    assert world.listed(f"{BASE}/moves") == {"b.csv": len(CONTENT)}
    world.sftp(f"df {BASE}/moves\nmkdir {BASE}/moves/new\nls {BASE}/moves/new\nrmdir {BASE}/moves/new")
    world.sftp(f"get {BASE}/moves/b.csv {here}/back")
    assert (here / "back").read_bytes() == file.read_bytes()


def test_openssh_goes_on_with_a_file_it_sent_in_part(world, here):
    (here / "a").write_bytes(CONTENT[:1_000_000])
    world.sftp(f"put {here}/a {BASE}/reput/a")
    (here / "a").write_bytes(CONTENT)
    world.sftp(f"reput {here}/a {BASE}/reput/a\nget {BASE}/reput/a {here}/back")
    assert (here / "back").read_bytes() == CONTENT
    arrived(world, "reput", {"a": CONTENT})


def test_scp_sends_files_and_folders(world, here):
    made = tree(here / "tree", 8)
    program = [need("scp"), "-q", "-r", *world.options(), f"{here}/tree", f"127.0.0.1:{BASE}/scp"]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = world.sums(*(f"{BASE}/scp/{path}" for path in made)) or world.sums(
        *(f"{BASE}/scp/tree/{path}" for path in made)
    )
    assert sorted(found.values()) == sorted(map(sha256, made.values()))


def test_the_old_scp_a_shell_and_forwarding_are_refused(world, here):
    (here / "a").write_bytes(b"a")
    old = subprocess.run(
        [need("scp"), "-O", "-q", *world.options(), f"{here}/a", f"127.0.0.1:{BASE}/old/a"],
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert old.returncode != 0
    for words in ([], ["ls"], ["-s", "shell"]):
        done = subprocess.run(
            [need("ssh"), *world.options(flag="-p"), *(words[:1] if words[:1] == ["-s"] else []), "127.0.0.1", *words[-1:]],
            capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode != 0


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
@pytest.mark.parametrize("after", [100, 3_000, 20_000, 1_000_000, 2_990_000])
def test_a_connection_cut_anywhere_leaves_what_can_go_on_and_no_file(world, here, after, reset):
    (here / "a.bin").write_bytes(CONTENT)
    name = f"a-{after}-{reset}.bin"
    cutter = Cutter(world.port, after, reset=reset)
    world.sftp(f"put {here}/a.bin {BASE}/cut/{name}", port=cutter.port, fails=True)
    assert cutter.cut.wait(20)
    assert world.sums(f"{BASE}/cut/{name}") == {}
    (here / "SUBMIT").touch()
    if after > 100_000:
        assert world.sftp(f"put {here}/SUBMIT {BASE}/cut/SUBMIT", fails=True).stderr
        assert 0 < world.listed(f"{BASE}/cut")[name] < len(CONTENT)
        world.sftp(f"reput {here}/a.bin {BASE}/cut/{name}")
        arrived(world, "cut", {name: CONTENT})


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_client_submits_nothing(world, here, kind):
    """SIGINT makes OpenSSH's client CLOSE the part it sent: it is received, and a submission that lists it is refused."""
    (here / "big.bin").write_bytes(os.urandom(1 << 20) * 64)
    program = [need("sftp"), "-q", "-l", "80000", *world.options(), "-b", "-", "127.0.0.1"]
    running = subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdin
    name = f"stopped-{kind.name}"
    running.stdin.write(f"put {here}/big.bin {BASE}/{name}/big.bin\n")
    running.stdin.flush()
    deadline = time.monotonic() + 60
    while world.listed(f"{BASE}/{name}/big.bin") in ({}, {"big.bin": 0}) if _there(world, name) else True:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    running.send_signal(kind)
    running.communicate(timeout=30)
    (here / "SUBMIT").write_text(f"{64 << 20} big.bin\n")
    refused = world.sftp(f"put {here}/SUBMIT {BASE}/{name}/SUBMIT", fails=True)
    assert refused.stderr
    assert "(open)" in world.status(name)
    world.sftp(f"reput {here}/big.bin {BASE}/{name}/big.bin")
    arrived(world, name, {"big.bin": (here / "big.bin").read_bytes()})
    world.sftp(f"put {here}/SUBMIT {BASE}/{name}/SUBMIT")


@pytest.mark.parametrize("client", ["sftp", "lftp"])
def test_an_upload_goes_on_after_the_gateway_was_killed(world, here, client):
    """The client is cut by the kill itself; what it sends afterwards is only the rest."""
    big = here / "big.bin"
    big.write_bytes(os.urandom(1 << 20) * 64)
    target = f"{BASE}/killed-{client}"
    program = [need("sftp"), "-q", "-l", "200000", *world.options(), "-b", "-", "127.0.0.1"]
    running = subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdin
    running.stdin.write(f"put {big} {target}/big.bin\n")
    running.stdin.flush()
    deadline = time.monotonic() + 60
    while not _there(world, f"killed-{client}") or world.listed(target)["big.bin"] < 20 << 20:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    world.running.kill()
    running.communicate(timeout=60)
    world.running.start()
    kept = world.listed(target)["big.bin"]
    assert 16 << 20 <= kept < 64 << 20
    if client == "sftp":
        world.sftp(f"reput {big} {target}/big.bin")
    else:
        connect = f"ssh -a -x {' '.join(world.options(flag='-p'))}"
        script = (
            f'set sftp:connect-program "{connect}"; set cmd:fail-exit yes; '
            f"open -u sz-genomics, sftp://127.0.0.1; put -c {big} -o {target}/big.bin"
        )
        done = subprocess.run([need("lftp"), "-c", script], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert world.sums(f"{target}/big.bin") == {f"{target}/big.bin": sha256(big.read_bytes())}


def _there(world: SftpWorld, name: str) -> bool:
    return "big.bin" in world.sftp(f"-ls {BASE}/{name}").stdout.replace(f"-ls {BASE}", "")


def test_paramiko_sends_and_lists(world, here):
    client = paramiko.SSHClient()
    client.load_host_keys(str(Path(world.options()[world.options().index("-o", 5) + 1].partition("=")[2])))
    client.connect(
        "127.0.0.1", world.port, "sz-genomics", key_filename=str(world.key), look_for_keys=False, allow_agent=False
    )
    with client, client.open_sftp() as sftp:
        (here / "a.bin").write_bytes(CONTENT)
        sftp.mkdir(f"{BASE}/paramiko")
        assert sftp.put(str(here / "a.bin"), f"{BASE}/paramiko/a.bin").st_size == len(CONTENT)
        with sftp.open(f"{BASE}/paramiko/b.bin", "wb") as file:
            file.set_pipelined(True)
            file.write(CONTENT)
        assert sorted(sftp.listdir(f"{BASE}/paramiko")) == ["a.bin", "b.bin"]
        sftp.posix_rename(f"{BASE}/paramiko/b.bin", f"{BASE}/paramiko/c.bin")
        with sftp.open(f"{BASE}/paramiko/a.bin", "rb") as file:
            assert file.read() == CONTENT
    arrived(world, "paramiko", {"a.bin": CONTENT, "c.bin": CONTENT})


def rclone(world: SftpWorld, *words: str, fails: bool = False) -> str:
    known = world.options()[world.options().index("-o", 5) + 1].partition("=")[2]
    remote = f":sftp,host=127.0.0.1,port={world.port},user=sz-genomics,key_file={world.key},known_hosts_file={known}:"
    program = [
        need("rclone"),
        *(word.replace("REMOTE:", remote) for word in words),
        "--config",
        "/dev/null",
        "--retries",
        "1",
    ]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode != 0) is fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_rclone_synchronises_twice_and_sends_only_what_changed(world, here):
    source = here / "tree"
    made = tree(source)
    shutil.copy(here / "declaration.toml", source)
    rclone(world, "sync", str(source), f"REMOTE:{BASE}/rclone", "--sftp-concurrency", "64", "--transfers", "8")
    arrived(world, "rclone", made)
    again = rclone(world, "sync", str(source), f"REMOTE:{BASE}/rclone", "-v")
    assert "There was nothing to transfer" in again
    rclone(world, "check", str(source), f"REMOTE:{BASE}/rclone")
    (here / "SUBMIT").touch()
    world.sftp(f"put {here}/SUBMIT {BASE}/rclone/SUBMIT")
    (source / "d1" / "f4.bin").write_bytes(CONTENT)
    changed = rclone(world, "copy", str(source), f"REMOTE:{BASE}/rclone", "-v")
    assert changed.count("Copied (") == 1, changed
    assert f"Version 2: {len(made) + 1} files" in world.status("rclone")
    arrived(world, "rclone", made | {"d1/f4.bin": CONTENT})
    assert "nothing to transfer" in rclone(world, "sync", str(source), f"REMOTE:{BASE}/rclone", "-v")


def submit(world: SftpWorld, dataset: str, here: Path) -> None:
    (here / "SUBMIT").touch()
    world.sftp(f"put {here}/SUBMIT {BASE}/{dataset}/SUBMIT")
    world.until(dataset, "receipted")


def delivered(world: SftpWorld, dataset: str, version: int) -> set[str]:
    """What lies in a version's folder in Hong Kong."""
    base = world.running.world.folder / "hong-kong-hku" / "in" / "sz-genomics" / "island-ecology" / dataset
    folder = base / f"v{version}"
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def versions(world: SftpWorld, dataset: str) -> list[str]:
    return [name for name in world.listed("/receipts/hku-genomics/island-ecology") if name.startswith(f"{dataset}.v")]


@pytest.mark.parametrize("program", ["rclone", "lftp", "sftp"])
def test_two_synchronisations_make_two_versions_and_relay_what_changed(world, here, program):
    dataset = f"twice-{program}"
    source = here / "tree"
    tables = {f"d{number % 2}/t{number}.csv": f"island,birds\nlamma,{number}\n" * 50 for number in range(6)}
    for path, content in tables.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(content)
    shutil.copy(here / "declaration.toml", source)
    synchronise(world, program, source, dataset)
    submit(world, dataset, here)
    whole = {f"{path}.c4gh" for path in (*tables, "declaration.toml")}
    assert delivered(world, dataset, 1) == whole | {"manifest.json", "manifest.json.sig"}

    (source / "d0/t2.csv").write_text("island,birds\nlantau,70\n" * 60)
    (source / "d1/new.csv").write_text("island,birds\ncheung chau,3\n")
    (source / "d1/t3.csv").unlink()
    synchronise(world, program, source, dataset, changed=("d0/t2.csv", "d1/new.csv"), deleted=("d1/t3.csv",))
    submit(world, dataset, here)
    assert delivered(world, dataset, 2) == {
        "d0/t2.csv.c4gh",
        "d1/new.csv.c4gh",
        "manifest.json",
        "manifest.json.sig",
    }
    synchronise(world, program, source, dataset, changed=())
    submit(world, dataset, here)  # nothing is new: the second version stands
    assert f"Version 2: {len(tables) + 1} files" in world.status(dataset)
    assert versions(world, dataset) == [f"{dataset}.v{n}.json{end}" for n in (1, 2) for end in ("", ".sig")]
    arrived(world, dataset, {path.relative_to(source).as_posix(): path.read_bytes() for path in source.rglob("*.*")})


def synchronise(
    world: SftpWorld,
    program: str,
    source: Path,
    dataset: str,
    *,
    changed: tuple[str, ...] | None = None,
    deleted: tuple[str, ...] = (),
) -> None:
    """Make the dataset's folder what the source is; what OpenSSH's client cannot find out by itself it is told."""
    if program == "rclone":
        said = rclone(world, "sync", str(source), f"REMOTE:{BASE}/{dataset}", "-v", "--transfers", "4")
        assert ("There was nothing to transfer" in said) == (changed == ())
    elif program == "lftp":
        connect = f"ssh -a -x {' '.join(world.options(flag='-p'))}"
        script = (
            f'set sftp:connect-program "{connect}"; set net:max-retries 1; set cmd:fail-exit yes; '
            f"open -u sz-genomics, sftp://127.0.0.1; mirror -R -e -P 3 {source} {BASE}/{dataset}"
        )
        done = subprocess.run([need("lftp"), "-c", script], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    elif changed is None:
        world.sftp(f"mkdir {BASE}/{dataset}\nput -pr {source}/* {BASE}/{dataset}/")
    else:
        put = [f"put -p {source}/{path} {BASE}/{dataset}/{path}" for path in changed]
        world.sftp("\n".join([*put, *(f"rm {BASE}/{dataset}/{path}" for path in deleted)]))


def test_lftp_mirrors_a_folder(world, here):
    made = tree(here / "tree", 10)
    connect = f"ssh -a -x {' '.join(world.options(flag='-p'))}"
    script = (
        f'set sftp:connect-program "{connect}"; set net:max-retries 1; set cmd:fail-exit yes; '
        f"open -u sz-genomics, sftp://127.0.0.1; mirror -R -P 3 {here}/tree {BASE}/lftp"
    )
    done = subprocess.run([need("lftp"), "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    arrived(world, "lftp", made)


def test_sshfs_copies_into_a_mounted_folder(world, here):
    program, unmount = need("sshfs"), need("fusermount3")
    mounted = here / "mnt"
    mounted.mkdir()
    connect = f"ssh {' '.join(world.options(flag='-p'))}"
    done = subprocess.run(
        [program, "-p", str(world.port), "-o", f"ssh_command={connect}", f"127.0.0.1:{BASE}", str(mounted)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if done.returncode and os.environ.get("CI", "").lower() != "true":
        pytest.skip(f"SSHFS IS NOT TESTED: it cannot mount here ({done.stderr.strip()})")
    assert done.returncode == 0, done.stderr
    try:
        (mounted / "sshfs").mkdir()
        with (mounted / "sshfs" / "a.bin").open("wb") as file:
            file.write(CONTENT)
        assert (mounted / "sshfs" / "a.bin").stat().st_size == len(CONTENT)
    finally:
        subprocess.run([unmount, "-u", str(mounted)], check=True, timeout=60)
    arrived(world, "sshfs", {"a.bin": CONTENT})
