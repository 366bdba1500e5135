"""A sender as institutions have them: `curl` for the files where it is installed, plain HTTPS calls for the rest."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import time
import urllib.parse
import urllib.request
import uuid
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import jwt

from gateway.core.errors import EndpointError

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523 section 2.2
TIMEOUT = 120


class Sender:
    """One institution's client.

    Args:
        url: The gateway's HTTPS door.
        authority: The certificate it must be signed by.
        client: The registered client's id.
        key: Its private key (PEM).
    """

    def __init__(self, url: str, authority: Path, client: str, key: Path) -> None:
        self._url = url
        self._authority = authority
        self._context = ssl.create_default_context(cafile=str(authority))
        self._client = client
        self._key = key.read_bytes()
        self.token = ""
        self.curl = shutil.which("curl")

    def sign_in(self) -> None:
        """Get an access token for a signed assertion (RFC 7523)."""
        now = int(time.time())
        claims = {"iss": self._client, "sub": self._client, "aud": f"{self._url}/oauth2/token", "iat": now}
        assertion = jwt.encode({**claims, "exp": now + 120, "jti": str(uuid.uuid4())}, self._key, algorithm="ES256")
        form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION, "client_assertion": assertion}
        answer = self._call(
            "POST", "/oauth2/token", urllib.parse.urlencode(form).encode(), "application/x-www-form-urlencoded"
        )
        self.token = answer["access_token"]

    def reachable(self) -> bool:
        """Whether the door answers that it is ready."""
        try:
            self._call("GET", "/readyz")
        except (URLError, EndpointError, OSError):
            return False
        return True

    def open(self, endpoint: str, project: str, dataset: str, declaration: dict[str, Any]) -> str:
        """Open a transfer; returns its id."""
        body = {"endpoint": endpoint, "project": project, "dataset": dataset, "declaration": declaration}
        return str(self.api("POST", "/v1/transfers", body)["id"])

    def put_folder(self, transfer: str, folder: Path) -> dict[str, int]:
        """Send every file of a folder; returns path to size."""
        sent = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                relative = path.relative_to(folder).as_posix()
                self._put(f"/v1/transfers/{transfer}/files/{urllib.parse.quote(relative)}", path)
                sent[relative] = path.stat().st_size
        return sent

    def submit(self, transfer: str, files: dict[str, int]) -> None:
        """Submit exactly these files."""
        self.api("POST", f"/v1/transfers/{transfer}/submit", {"files": files})

    def status(self, transfer: str) -> dict[str, Any]:
        """The transfer as its sender sees it."""
        return self.api("GET", f"/v1/transfers/{transfer}")

    def wait(self, transfer: str, states: set[str], seconds: float) -> dict[str, Any]:
        """The transfer once it is in one of these states; raises EndpointError where it does not get there."""
        ends = {"receipted", "refused", "rejected", "withdrawn", "expired", "failed"}
        until = time.monotonic() + seconds
        while True:
            shown = self.status(transfer)
            if shown["state"] in states:
                return shown
            if shown["state"] in ends or time.monotonic() > until:
                raise EndpointError(
                    f"expected {', '.join(sorted(states))} and found {shown['state']}: {shown.get('reason', '')}"
                )
            time.sleep(0.2)

    def receipt(self, transfer: str) -> tuple[str, str]:
        """The receipt and its signature."""
        answer = self.api("GET", f"/v1/transfers/{transfer}/receipt")
        return answer["receipt"], answer["signature"]

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A JSON call with the token."""
        data = None if body is None else json.dumps(body).encode()
        return self._call(method, path, data, "application/json")

    def _put(self, path: str, file: Path) -> None:
        if self.curl is None:
            with file.open("rb") as body:
                size = str(file.stat().st_size)
                self._call("PUT", path, body, "application/octet-stream", {"Content-Length": size})
            return
        # The header comes from a pipe: a token on the command line would be in every process list.
        command = [self.curl, "--silent", "--show-error", "--fail-with-body", "--cacert", str(self._authority)]
        command += ["--header", "@-", "--upload-file", str(file), self._url + path]
        header = f"Authorization: Bearer {self.token}\n".encode()
        done = subprocess.run(command, input=header, capture_output=True, timeout=TIMEOUT, check=False)  # noqa: S603  # fixed program, our own arguments
        if done.returncode:
            raise EndpointError(f"curl could not send {file.name}: {done.stdout.decode()} {done.stderr.decode()}")

    def _call(
        self, method: str, path: str, data: Any = None, media_type: str = "", headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        request = urllib.request.Request(self._url + path, data=data, method=method, headers=headers or {})  # noqa: S310  # an https URL of our own
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        if media_type and data is not None:
            request.add_header("Content-Type", media_type)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT, context=self._context) as answer:  # noqa: S310  # as above
                text = answer.read()
        except HTTPError as refused:
            raise EndpointError(f"{method} {path}: {refused.code} {refused.read().decode()[:500]}") from refused
        parsed: dict[str, Any] = json.loads(text) if text else {}
        return parsed
