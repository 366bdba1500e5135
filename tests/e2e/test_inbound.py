"""Both directions at a real gateway: a Hong Kong partner sends people in, and a processed table of them goes back."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from certs.crypt4ghkeys import make_crypt4gh_key
from certs.jwtkeys import make_jwt_key
from certs.keyfiles import make_key_folder
from certs.sshkeys import make_ssh_key
from gateway.cli.demo.data_manager import DataManager
from gateway.cli.demo.sender import Sender
from gateway.cli.demo.story import GENERAL, _duties, _toml
from gateway.core.errors import EndpointError
from gateway.core.facts import local_day
from gateway.core.identity import SENDER_SCOPES
from tests.e2e.conftest import Running, build

RECORDS = """
[[institution]]
id = "hku-med"
name_zh = "香港大学医学院"
name_en = "HKU Medicine"
uscc = ""
place = "HK"
filing_number = "HT-HK-2026-003"
filed_from = 2026-03-01

[[person]]
id = "wong"
name = "Wong"
institution = "hku-med"
real_name_verified = true

[[client]]
id = "hku-med-client"
institution = "hku-med"
person = "wong"
jwk = {jwk}
scopes = {scopes}

[[sshkey]]
id = "wong-laptop"
institution = "hku-med"
person = "wong"
key = "{ssh}"
scopes = {scopes}

[[endpoint]]
id = "sz-genomics-in"
name = "Shenzhen Genomics, incoming"
place = "CN-SZ"
institution = "sz-genomics"
connector = "directory"
recipient_key = "{recipient}"
settings = {{ path = "{directory}" }}

[[project]]
id = "cohort-in"
institution = "hku-med"
endpoints = ["sz-genomics-in"]
purpose = "cohort study"
family = "kowloon-cohort"

[[project]]
id = "cohort-back"
institution = "sz-genomics"
endpoints = ["hkust-imaging"]
purpose = "cohort study"
family = "kowloon-cohort"

[[project]]
id = "own-in"
institution = "hku-med"
endpoints = ["sz-genomics-in"]
purpose = "another study"
family = "another-study"
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("inbound")
    keys = folder / "partner"
    make_key_folder(keys)
    make_jwt_key(keys, "hku-med")
    make_ssh_key(keys, "wong", "wong")
    make_crypt4gh_key(keys, "sz")
    (folder / "shenzhen-in").mkdir()
    jwk = json.loads((keys / "hku-med.jwk").read_text())
    records = RECORDS.format(
        jwk="{ " + ", ".join(f'{name} = "{value}"' for name, value in jwk.items()) + " }",
        scopes=json.dumps(SENDER_SCOPES),
        ssh=" ".join((keys / "wong.pub").read_text().split()[:2]),
        recipient=(keys / "sz.pub").read_text().split("\n")[1],
        directory=folder / "shenzhen-in",
    )
    made = build(folder / "world", records)
    made.start()
    yield made
    made.world.stop()


def partner_keys(running: Running) -> Path:
    return running.world.folder.parent / "partner"


def signed_in(running: Running, who: str) -> Sender:
    key = partner_keys(running) / who if who == "hku-med" else running.world.keys / who
    sender = Sender(running.world.url, running.world.authority, f"{who}-client", key)
    sender.sign_in()
    return sender


def hkid(number: int) -> str:
    """A made-up Hong Kong identity card number with its right check character."""
    body = f"K{number:06d}"
    total = 36 * 9 + sum((ord(body[0]) - 55) * 8 if at == 0 else int(body[at]) * (8 - at) for at in range(7))
    return f"{body}({'0123456789A'[-total % 11]})"


def table(numbers: list[int], value: str) -> str:
    return "hkid,hba1c\n" + "".join(f"{hkid(each)},{value}\n" for each in numbers)


def words(people: int, **more: Any) -> dict[str, Any]:
    return {
        "data": {**GENERAL["data"], "personal": True, "sensitive": True, "under14": False},
        "hgr": GENERAL["hgr"],
        "persons": {"sensitive": people, "nonsensitive": 0},
        "duties": _duties(local_day(datetime.now(UTC)) - timedelta(days=20)),
        **more,
    }


def sent(
    running: Running, who: str, where: tuple[str, str], dataset: str, content: str, declared: dict[str, Any]
) -> str:
    folder = running.world.folder / "sent" / dataset
    folder.mkdir(parents=True)
    (folder / "table.csv").write_text(content, encoding="utf-8")
    sender = signed_in(running, who)
    transfer = sender.open(*where, dataset, declared)
    sender.submit(transfer, sender.put_folder(transfer, folder))
    return transfer


def ended(running: Running, who: str, transfer: str, state: str) -> dict[str, Any]:
    return signed_in(running, who).wait(transfer, {state}, 60)


def back(people: int, *named: str) -> dict[str, Any]:
    return words(people, lineage=list(named), exemption={"claimed": "art4"})


def test_people_come_in_and_a_processed_table_of_them_goes_back(running: Running):
    content = table(list(range(50)), "6.1")
    arrived = sent(running, "hku-med", ("sz-genomics-in", "cohort-in"), "cohort", content, words(50))
    shown = ended(running, "hku-med", arrived, "receipted")
    assert (shown["direction"], shown["decision"]["rules"]) == ("inbound", ["I1"])
    sealed = running.world.folder.parent / "shenzhen-in/hku-med/cohort-in/cohort/v1/table.csv.c4gh"
    assert opened(running, sealed) == hashlib.sha256(content.encode()).digest()

    back_at = ("hkust-imaging", "cohort-back")
    processed = sent(running, "sz-genomics", back_at, "risk", table(list(range(5, 45)), "low risk"), back(40, arrived))
    shown = ended(running, "sz-genomics", processed, "receipted")
    assert "P1" in shown["decision"]["rules"]
    assert (shown["direction"], shown["lineage"]) == ("outbound", [arrived])
    assert shown["decision"]["lineage"] == {"state": "proven", "added": 0}
    told = json.loads(running.hetao("transfers", "show", processed, "--json"))
    assert (told["direction"], told["lineage"]) == ("outbound", arrived)
    assert told["decision"]["lineage"]["came_in"] == {"identified": 50, "by_number": 0}

    one_more = table([*range(5, 45), 777], "low risk")
    more = sent(running, "sz-genomics", back_at, "risk-more", one_more, back(41, arrived))
    shown = ended(running, "sz-genomics", more, "held")
    assert "P19" in shown["decision"]["rules"]
    # Of those before nobody was counted: the 41 are all there is.
    assert shown["decision"]["persons"]["sensitive"] == 50
    assert {"lineage-added"} <= {each.get("code") for each in shown["decision"]["remedies"]}
    officers = running.hetao("transfers", "show", more, "--lang", "zh-Hans")
    for said in ("境外数据中增加的人", "1 人", "50 identified, 0 by number"):
        assert said in officers


def opened(running: Running, sealed: Path) -> bytes:
    """SHA-256 of what the stock `crypt4gh` makes of it with the Shenzhen recipient's key."""
    tool = Path(sys.executable).with_name("crypt4gh")
    with sealed.open("rb") as source:
        command = [str(tool), "decrypt", "--sk", str(partner_keys(running) / "sz")]
        done = subprocess.run(command, stdin=source, capture_output=True, timeout=120, check=True)
    return hashlib.sha256(done.stdout).digest()


def test_a_partner_sends_by_sftp_and_its_status_says_which_way(running: Running, tmp_path: Path):
    world = running.world
    manager = DataManager(
        port=world.sftp_port,
        host_key=(world.config.parent / "keys" / "sftp_host.pub").read_text(encoding="utf-8"),
        user="hku-med",
        key=partner_keys(running) / "wong",
        folder=tmp_path,
    )
    (tmp_path / "by-sftp").mkdir()
    (tmp_path / "by-sftp" / "table.csv").write_text(table(list(range(900, 920)), "5.5"), encoding="utf-8")
    declared = {name: value for name, value in words(20).items() if isinstance(value, dict)}
    (tmp_path / "by-sftp" / "declaration.toml").write_text(_toml(declared), encoding="utf-8")
    manager.list_files("by-sftp")
    where = "sz-genomics-in/own-in"
    manager.carry_out([f"put -r by-sftp /outbox/{where}/", f"put SUBMIT /outbox/{where}/by-sftp/SUBMIT"])
    status = manager.await_end(f"get /status/{where}/by-sftp.txt", "receipted", 60)
    for line in ("Direction: inbound", "方向：入境", "方向：入境"):
        assert line in status
    # What came in under another undertaking is no lineage of this one, and is told as what does not exist is.
    inbound = json.loads(running.hetao("transfers", "search", "--direction", "inbound", "--json"))
    (found,) = [each["id"] for each in inbound if each["project"] == "own-in"]
    with pytest.raises(EndpointError, match="no inbound transfer"):
        sent(
            running,
            "sz-genomics",
            ("hkust-imaging", "cohort-back"),
            "strange",
            table([900], "x"),
            back(1, found),
        )
