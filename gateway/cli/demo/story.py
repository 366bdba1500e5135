"""What the demo tells: four datasets, four ends, and proof that each is what it claims to be.

Every step checks what it shows; one that does not hold ends the demo with exit code 1.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from gateway.cli.demo import files
from gateway.cli.demo.sender import Sender
from gateway.cli.demo.world import CLIENTS, FILINGS, World
from gateway.core.catalogue import LANGUAGES
from gateway.core.errors import GatewayError
from gateway.core.facts import local_day

READY = 40  # seconds the gateway may take to answer
SOON = 45  # seconds a stage may take
GENERAL: dict[str, dict[str, Any]] = {
    "data": {
        "level": "general",
        "personal": False,
        "controlled_technology": False,
        "remote_access": False,
        "precise_geo": False,
    },
    "hgr": {"information": False, "material": False},
}


class Broken(GatewayError):
    """A step of the demo did not hold."""

    code = "demo-broken"


@dataclass
class Told:
    """A line of the closing table."""

    dataset: str
    sender: str
    end: str
    rules: str
    proof: str = "-"


@dataclass
class Story:
    """The demo's steps, in order."""

    world: World
    console: Console
    lang: str = "en"
    told: list[Told] = field(default_factory=list)
    senders: dict[str, Sender] = field(default_factory=dict)
    pinned: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        """All of it."""
        self._set_up()
        self._allowed()
        self._judged()
        self._documented()
        self._refused()
        self._close()

    # --- scenes ------------------------------------------------------------------------------------------------------

    def _set_up(self) -> None:
        self._say("1", "A gateway, two institutions in Shenzhen, two recipients in Hong Kong")
        world = self.world
        world.build()
        gateway = str(world.config.parent)
        self._hetao(
            "init",
            str(world.folder / "genesis.toml"),
            "--dir",
            gateway,
            "--origin",
            "demo.hetao/ledger",
            *world.port_options,
        )
        self._change("registry.toml", "institutions, clients, endpoints and projects")
        if world.sftp is not None:
            world.sftp.start()
        world.start_gateway()
        for name in CLIENTS:
            key = world.keys / name
            self.senders[name] = Sender(world.url, world.authority, f"{name}-client", key)
        self._await_ready()
        for sender in self.senders.values():
            sender.sign_in()
        self._hetao("doctor")
        client = "curl" if self.senders["sz-genomics"].curl else "Python's HTTPS client (curl is not installed)"
        self._note(f"the gateway answers at {world.url}; files go there with {client}")

    def _await_ready(self) -> None:
        until = time.monotonic() + READY
        while not self.senders["sz-genomics"].reachable():
            self.world.check_gateway()
            if time.monotonic() > until:
                raise Broken(f"the gateway did not answer within {READY} s: see {self.world.folder / 'gateway.log'}")
            time.sleep(0.2)

    def _allowed(self) -> None:
        self._say("2", "Penguins by SFTP to HKU's SFTP server: no personal data, allowed at once")
        folder = self._files("penguins", files.penguins)
        (folder / "declaration.toml").write_text(_toml(GENERAL), encoding="utf-8")
        manager = self.world.data_manager(folder.parent)
        project = "hku-genomics/island-ecology"
        client = "OpenSSH's sftp" if manager.sftp else "asyncssh's client, the same commands (sftp is not installed)"
        self._note(f"SUBMIT lists {manager.list_files('penguins')} files with their SHA-256; sent with {client}")
        put = [f"put -r penguins /outbox/{project}/", f"put SUBMIT /outbox/{project}/penguins/SUBMIT"]
        look = f"get /status/{project}/penguins.txt"
        fetch = [f"get /receipts/{project}/penguins.v1.json", f"get /receipts/{project}/penguins.v1.json.sig"]
        self._typed(manager.login, [*put, look, *fetch])
        manager.carry_out(put)
        told = manager.await_end(look, "receipted", SOON)
        self._note("the status: " + told.split("\n\n")[LANGUAGES.index(self.lang)].strip().replace("\n", "\n  "))
        manager.carry_out(fetch)
        receipt, signature = ((folder.parent / each.rpartition("/")[2]).read_text(encoding="utf-8") for each in fetch)
        body = json.loads(receipt)
        shown = {**body["transfer"], "state": "receipted", "decision": body["verdict"]}
        here = self.world.folder / "hong-kong-hku" / "in"
        self._proven("sz-genomics", (receipt, signature), shown, folder, "hku", here)

    def _judged(self) -> None:
        self._say("3", "Pictures of scans to HKUST: no parser reads what pixels show, so people judge")
        folder = self._files("phantom", files.scans)
        transfer = self._send("sz-genomics", "hkust-imaging", "phantom-scans", folder, GENERAL)
        shown = self.senders["sz-genomics"].wait(transfer, {"held"}, SOON)
        self._verdict(shown)
        vote = ["review", "approve", transfer, "--reason", "pictures of slices, looked at one by one"]
        self._hetao(*vote, "--key", str(self.world.keys / "wu"), refuse="does not count")
        self._note("the system administrator's vote does not count: the three offices are apart")
        self._hetao(*vote, "--key", str(self.world.keys / "chen"))
        self._hetao(*vote, "--key", str(self.world.keys / "zhao"))
        shown = self.senders["sz-genomics"].wait(transfer, {"receipted"}, SOON)
        self._note("two officers, two persons, two signatures: cleared")
        self._proven(
            "sz-genomics",
            self.senders["sz-genomics"].receipt(transfer),
            shown,
            folder,
            "hkust",
            self.world.folder / "hong-kong-hkust",
        )

    def _documented(self) -> None:
        self._say("4", "Variants of three people to HKU: three papers are missing, no vote can replace them")
        folder = self._files("variants", files.genomes)
        today = local_day(datetime.now(UTC))
        declaration = {
            "data": {**GENERAL["data"], "personal": True, "sensitive": True, "under14": False},
            "hgr": {
                "information": True,
                "material": False,
                "subjects": 3,
                "wes_wgs_subjects": 3,
                "pedigree": False,
                "special_region": False,
            },
            "persons": {"sensitive": 3, "nonsensitive": 0},
            "duties": _duties(today - timedelta(days=20)),
        }
        transfer = self._send("sz-genomics", "hku-genomics", "rare-variants", folder, declaration)
        shown = self.senders["sz-genomics"].wait(transfer, {"held"}, SOON)
        self._verdict(shown)
        filings = FILINGS.format(effective=today - timedelta(days=7), filed=today - timedelta(days=3))
        (self.world.folder / "filings.toml").write_text(filings, encoding="utf-8")
        self._change("filings.toml", "a standard contract, an HGR report and its backup")
        shown = self.senders["sz-genomics"].wait(transfer, {"receipted"}, SOON)
        self._verdict(shown)
        self._proven(
            "sz-genomics",
            self.senders["sz-genomics"].receipt(transfer),
            shown,
            folder,
            "hku",
            self.world.folder / "hong-kong-hku" / "in",
        )

    def _refused(self) -> None:
        self._say("5", "12,000 patients with identity numbers and diagnoses to HKUST: refused")
        folder = self._files("patients", lambda target: files.registry_of_patients(target, 12_000))
        today = local_day(datetime.now(UTC))
        declaration = {
            "data": {**GENERAL["data"], "personal": True, "sensitive": True, "under14": False},
            "hgr": GENERAL["hgr"],
            "persons": {"sensitive": 12_000, "nonsensitive": 0},
            "duties": _duties(today - timedelta(days=20)),
        }
        transfer = self._send("futian-hospital", "hkust-imaging", "diabetes-cohort", folder, declaration)
        shown = self.senders["futian-hospital"].wait(transfer, {"refused"}, SOON)
        self._verdict(shown)
        if list((self.world.folder / "hong-kong-hkust" / "futian-hospital").rglob("*")):
            raise Broken("something of a refused transfer reached Hong Kong")
        self._tell("patients", "futian-hospital", shown, "nothing left")

    def _close(self) -> None:
        self._say("6", "The record")
        verified = json.loads(self._hetao("ledger", "verify", "--json"))
        if verified["problems"]:
            raise Broken("; ".join(verified["problems"]))
        self._note(f"{verified['entries']} ledger entries, every one in the tree; root {verified['root'][:16]}")
        table = Table(
            "dataset", "sender", "end", "rules that fired", "proof", title="What happened", title_justify="left"
        )
        for told in self.told:
            table.add_row(told.dataset, told.sender, told.end, told.rules, told.proof)
        self.console.print(table)

    # --- steps -------------------------------------------------------------------------------------------------------

    def _send(self, name: str, endpoint: str, project: str, folder: Path, declaration: dict[str, Any]) -> str:
        sender = self.senders[name]
        transfer = sender.open(endpoint, project, folder.name, declaration)
        sent = sender.put_folder(transfer, folder)
        sender.submit(transfer, sent)
        self._note(f"{name} sent {', '.join(f'{path} ({size:,} B)' for path, size in sent.items())}")
        return transfer

    def _verdict(self, shown: dict[str, Any]) -> None:
        decision = shown["decision"]
        colour = {"allow": "green", "hold": "yellow", "deny": "red"}[decision["verdict"]]
        lines = [f"[{colour}]{decision['verdict']}[/{colour}]  rules {' '.join(decision['rules'])}"]
        cited: dict[str, list[str]] = {each["rule"]: [] for each in decision["citations"]}
        for each in decision["citations"]:
            cited[each["rule"]].append(f"{each['instrument']} {each['article']}")
        lines += [f"  {rule}: {', '.join(articles)}" for rule, articles in cited.items()]
        for remedy in decision["remedies"]:
            lines.append(f"  [italic]{escape(remedy.get(self.lang, remedy.get('en', '')))}[/italic]")
        self.console.print("\n".join(lines), highlight=False)

    def _proven(
        self, name: str, signed: tuple[str, str], shown: dict[str, Any], sent: Path, recipient: str, arrived: Path
    ) -> None:
        """Open what arrived with the stock Crypt4GH tool, compare digests, check the receipt."""
        folder = arrived / name / shown["project"] / shown["dataset"] / f"v{shown['version']}"
        count = 0
        for original in sorted(path for path in sent.rglob("*") if path.is_file()):
            sealed = folder / (original.relative_to(sent).as_posix() + ".c4gh")
            if (
                _decrypted_sha256(sealed, self.world.keys / recipient)
                != hashlib.sha256(original.read_bytes()).hexdigest()
            ):
                raise Broken(f"{sealed.name} does not open to what was sent")
            count += 1
        receipt, signature = signed
        base = self.world.folder / f"receipt-{shown['dataset']}.json"
        base.write_text(receipt, encoding="utf-8")
        base.with_suffix(".sig").write_text(signature, encoding="utf-8")
        keys = self._gateway_keys()
        check = [
            "--signature",
            str(base.with_suffix(".sig")),
            "--gateway-key",
            keys["signing"],
            "--ledger-key",
            keys["ledger"],
        ]
        self._hetao("ledger", "check-receipt", str(base), *check, config=False)
        opened = f"{count} file(s) opened with crypt4gh, sha256 equal"
        self._note(f"{opened}; receipt and its place in the ledger verified")
        self._tell(shown["dataset"], name, shown, opened)

    def _gateway_keys(self) -> dict[str, str]:
        """The gateway's public keys, as `hetao keys show` gives them."""
        if not self.pinned:
            self.pinned = dict(line.split(": ", 1) for line in self._hetao("keys", "show").strip().splitlines())
        return self.pinned

    def _change(self, file: str, what: str) -> None:
        """A registry change under two signatures."""
        path, keys = str(self.world.folder / file), self.world.keys
        digest = json.loads(self._hetao("registry", "propose", path, "--key", str(keys / "chen"), "--json"))["digest"]
        if not self.told:  # once is enough to see it
            self._hetao("registry", "approve", digest, "--key", str(keys / "chen"), refuse="same person")
        self._hetao("registry", "approve", digest, "--key", str(keys / "zhao"))
        self._note(f"registered under two signatures: {what}")

    def _hetao(self, *arguments: str, refuse: str = "", config: bool = True) -> str:
        """Run a `hetao` command and return what it printed; with `refuse`, it must fail and say so."""
        command = [sys.executable, "-m", "gateway.cli", *arguments]
        if config and arguments[0] != "init":
            command += ["--config", str(self.world.config)]
        environment = {**os.environ, "COLUMNS": "1000", "NO_COLOR": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)  # noqa: S603  # our own program
        if refuse:
            if done.returncode == 0 or refuse not in done.stderr:
                raise Broken(
                    f"`hetao {arguments[0]} {arguments[1]}` should have been refused: {done.stdout}{done.stderr}"
                )
            return done.stderr
        if done.returncode:
            raise Broken(f"`hetao {' '.join(arguments[:2])}` failed: {done.stdout}{done.stderr}")
        return done.stdout

    def _files(self, name: str, make: files.Maker) -> Path:
        folder = self.world.folder / "shenzhen" / name
        make(folder)
        return folder

    def _tell(self, dataset: str, sender: str, shown: dict[str, Any], proof: str) -> None:
        self.told.append(Told(dataset, sender, shown["state"], " ".join(shown["decision"]["rules"]), proof))

    def _say(self, number: str, text: str) -> None:
        self.console.print(Panel(f"[bold]{number}[/bold]  {text}", expand=False))

    def _typed(self, login: str, commands: Sequence[str]) -> None:
        """What a data manager types."""
        lines = [f"$ {login}", *(f"sftp> {each}" for each in commands)]
        self.console.print(
            "\n".join(f"  [cyan]{escape(each)}[/cyan]" for each in lines), highlight=False, soft_wrap=True
        )

    def _note(self, text: str) -> None:
        self.console.print(f"[dim]-[/dim] {escape(text)}", highlight=False, soft_wrap=True)


def _duties(pipia: Any) -> dict[str, Any]:
    return {
        "notice": True,
        "separate_consent": True,
        "consent_based": True,
        "pipia": pipia.isoformat(),
        "withdrawn_subjects": 0,
        "ethics_approval": True,
        "written_consent": True,
        "institution_approval": True,
        "owner_unit_approval": True,
    }


def _toml(declaration: Mapping[str, Mapping[str, Any]]) -> str:
    """A declaration as its file: tables of words and truth values, which TOML writes as JSON does."""
    tables = (
        [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
        for name, table in declaration.items()
    )
    return "".join(f"{line}\n" for lines in tables for line in lines)


def _decrypted_sha256(sealed: Path, key: Path) -> str:
    """SHA-256 of what the stock `crypt4gh decrypt` makes of a file."""
    tool = Path(sys.executable).with_name("crypt4gh")
    program = str(tool) if tool.exists() else shutil.which("crypt4gh")
    if program is None:
        raise Broken("the crypt4gh tool is not installed: install the demo extra")
    with sealed.open("rb") as source:
        command = [program, "decrypt", "--sk", str(key)]
        done = subprocess.run(command, stdin=source, capture_output=True, timeout=120, check=False)  # noqa: S603  # the stranger whose word we want
    if done.returncode:
        raise Broken(f"crypt4gh could not open {sealed.name}: {done.stderr.decode()[-300:]}")
    return hashlib.sha256(done.stdout).hexdigest()
