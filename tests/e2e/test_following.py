"""Two workers, a stranger's client on an event stream, and an institution's own system behind a webhook; then a crash."""

from __future__ import annotations

import http.server
import json
import re
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from gateway.cli.demo.story import GENERAL
from tests.e2e.conftest import Running, build
from tests.interop.sftp_world import need

WHOLE = ["open", "submitted", "classified", "cleared", "sealed", "relaying", "delivered", "receipted"]
README = Path(__file__).parents[2] / "README.md"


class Erp(http.server.ThreadingHTTPServer):
    """An institution's own system, on the gateway's development certificate for localhost."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ErpHandler)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.status = 204
        self.taken: list[tuple[bytes, str]] = []
        self.refused = 0

    def get_request(self):
        sock, address = super().get_request()
        sock.settimeout(20)
        return self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request, client_address) -> None:
        pass  # a gateway that is killed breaks off


class ErpHandler(http.server.BaseHTTPRequestHandler):
    server: Erp

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status == 204:
            self.server.taken.append((body, self.headers["Hetao-Signature"]))
        else:
            self.server.refused += 1
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_args) -> None:
        pass


class Following:
    """The gateway, its sender and the ERP."""

    def __init__(self, running: Running, erp: Erp) -> None:
        self.running = running
        self.erp = erp

    def send(self, dataset: str) -> tuple[Any, str]:
        sender = self.running.sender()
        sender.sign_in()
        transfer = sender.open("hku-genomics", "island-ecology", dataset, GENERAL)
        return sender, transfer

    def finish(self, sender: Any, transfer: str) -> None:
        folder = self.running.world.folder / transfer
        folder.mkdir()
        (folder / "a.csv").write_text("island,birds\nlamma,12\n")
        sender.submit(transfer, sender.put_folder(transfer, folder))
        sender.wait(transfer, {"receipted"}, 60)

    def told(self, transfer: str) -> list[str]:
        """States the ERP was told of a transfer, each event once: at least once is what was promised."""
        events = {event["id"]: event for event in (json.loads(body) for body, _ in list(self.erp.taken))}
        return [event["data"]["state"] for event in events.values() if event["subject"] == transfer]


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def following(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Following]:
    folder = tmp_path_factory.mktemp("world")
    authority = str(folder / "gateway" / "keys" / "authority.crt")
    erp = Erp()
    hook = f"""
[[webhook]]
id = "erp"
institution = "sz-genomics"
url = "https://localhost:{erp.server_address[1]}/hook"
ranges = ["127.0.0.0/8"]
"""
    running = build(folder, hook, HETAO_GATEWAY__WORKERS="2", HETAO_WEBHOOKS__CA_FILE=authority)
    keys = running.world.config.parent / "keys"
    erp.context.load_cert_chain(keys / "https.crt", keys / "https.key")
    threading.Thread(target=erp.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    running.start()
    yield Following(running, erp)
    running.world.stop()
    erp.shutdown()
    erp.server_close()


def test_curl_hears_the_whole_story_and_the_erp_believes_it(following: Following) -> None:
    sender, transfer = following.send("followed")
    world = following.running.world
    url = f"{world.url}/v1/transfers/{transfer}/events"
    command = [need("curl"), "-sN", "--cacert", str(world.authority), "--header", "@-", url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as curl:
        assert curl.stdin is not None
        assert curl.stdout is not None
        curl.stdin.write(f"Authorization: Bearer {sender.token}\n")
        curl.stdin.close()
        first = list(iter(curl.stdout.readline, "\n"))  # `retry`, then the first event comes
        assert first == ["retry: 2000\n"]
        following.finish(sender, transfer)
        lines = curl.stdout.read().splitlines()  # ends with the transfer
        assert curl.wait(30) == 0
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert [event["state"] for event in events if "state" in event] == WHOLE
    until(lambda: following.told(transfer) == WHOLE)
    check_with_the_verifier_of_the_readme(following)


def check_with_the_verifier_of_the_readme(following: Following) -> None:
    """The README's ten lines, as they stand there, over TLS to the gateway's own key set."""
    (code,) = [
        each
        for each in re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
        if "def verified" in each
    ]
    world = following.running.world
    context = ssl.create_default_context(cafile=str(world.authority))

    class Keys(jwt.PyJWKClient):
        def __init__(self, _uri: str) -> None:
            super().__init__(f"{world.url}/.well-known/jwks.json", ssl_context=context)

    patched = code.replace("jwt.PyJWKClient(", "Keys(")
    namespace: dict[str, Any] = {"Keys": Keys}
    exec(compile(patched, "README.md", "exec"), namespace)
    for body, signature in following.erp.taken:
        assert namespace["verified"](body, signature) == json.loads(body)
    body, signature = following.erp.taken[0]
    with pytest.raises(jwt.InvalidSignatureError):
        namespace["verified"](body + b" ", signature)


def test_what_an_erp_missed_it_hears_after_a_crash_in_order(following: Following) -> None:
    erp = following.erp
    erp.status, before = 503, erp.refused
    sender, transfer = following.send("missed")
    following.finish(sender, transfer)
    until(lambda: erp.refused > before)
    assert following.told(transfer) == []
    following.running.kill()
    (standing,) = json.loads(following.running.hetao("webhooks", "list", "--json"))
    assert (standing["webhook"], standing["state"], standing["reason"]) == ("erp", "failing", "status 503")
    assert standing["behind"] >= len(WHOLE)
    erp.status = 204
    following.running.start()
    until(lambda: following.told(transfer) == WHOLE)
    identifiers = [int(json.loads(body)["id"]) for body, _ in erp.taken]
    assert identifiers == sorted(identifiers)
