"""Requests to one pinned HTTPS server over the channel's sockets, and what its answers mean.

What this is not: a general HTTP client. It follows no redirect, uses no proxy, keeps no cookie and never retries.

The rules a change must keep:
1. Every connection, a re-opened one too, comes from the channel: `http.client` would otherwise connect by itself.
2. TLS 1.3 unless the endpoint's settings say 1.2; the certificate is checked against `ca_file` alone where it is given.
3. A request body ends with the connection if it cannot be finished, so no server can take a part for the whole.
4. `refusal` is the only table of which status another attempt can mend; no server text enters a message.
"""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

from connectors.settings import Table
from gateway.core.errors import EndpointError
from gateway.ports import Channel

# Request Timeout, Too Early, Too Many Requests; any 5xx but those below.
_PASSING = frozenset({408, 425, 429})
# Not Implemented, HTTP Version Not Supported, Loop Detected, Network Authentication Required: somebody must change it.
_LASTING = frozenset({501, 505, 508, 511})
_BODY_KEPT = 1 << 16
_PIECE = 1 << 20


@dataclass(frozen=True)
class Site:
    """Where an endpoint is and how to be let in.

    Attributes:
        host: Name or literal address; the certificate must be for it.
        port: TCP port.
        prefix: Path of the base URL without a trailing slash, percent-encoded.
        ranges: Pinned address blocks.
        ca_file: The only authorities to trust; None for the system's.
        client_cert_file: Certificate chain for mutual TLS.
        client_key_file: Its private key.
        bearer_token_file: File with a bearer token, read anew for every session.
        tls_minimum: Lowest TLS version.
        connect_timeout: Seconds for TCP and TLS each.
        io_timeout: Seconds without progress.
    """

    host: str
    port: int
    prefix: str
    ranges: tuple[str, ...]
    ca_file: Path | None
    client_cert_file: Path | None
    client_key_file: Path | None
    bearer_token_file: Path | None
    tls_minimum: ssl.TLSVersion
    connect_timeout: int
    io_timeout: int


@dataclass(frozen=True)
class Answer:
    """A response: its status, its fields and, where it is small and wanted, its body."""

    status: int
    fields: Mapping[str, str]

    def field(self, name: str) -> str:
        """A header field, empty where it is absent."""
        return self.fields.get(name.lower(), "")


def read_site(table: Table) -> Site:
    """The part of an endpoint's settings that a session needs.

    Raises:
        Unusable: Naming the key.
    """
    host, port, prefix = _read_base_url(table)
    certificate, key = table.optional_path("client_cert_file"), table.optional_path("client_key_file")
    if (certificate is None) != (key is None):
        raise table.refusal("client_key_file", "given together with 'client_cert_file'")
    oldest = table.word("tls_minimum", ("1.3", "1.2"))
    return Site(
        host=host,
        port=port,
        prefix=prefix,
        ranges=table.ranges(),
        ca_file=table.optional_path("ca_file"),
        client_cert_file=certificate,
        client_key_file=key,
        bearer_token_file=table.optional_path("bearer_token_file"),
        tls_minimum=ssl.TLSVersion.TLSv1_3 if oldest == "1.3" else ssl.TLSVersion.TLSv1_2,
        connect_timeout=table.number("connect_timeout", 15, 1, 600),
        io_timeout=table.number("io_timeout", 60, 1, 3600),
    )


class _Connection(http.client.HTTPSConnection):
    """`http.client`'s connection whose sockets come from the channel."""

    def __init__(self, site: Site, channel: Channel, context: ssl.SSLContext) -> None:
        super().__init__(site.host, site.port, timeout=site.io_timeout, context=context)
        self._site = site
        self._channel = channel
        self._tls = context

    def connect(self) -> None:
        site = self._site
        plain = self._channel.connect(site.host, site.port, ranges=site.ranges, timeout=site.connect_timeout)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=site.host)
        except BaseException:
            plain.close()
            raise
        self.sock.settimeout(site.io_timeout)


class Session:
    """Requests one after the other over one connection."""

    def __init__(self, site: Site, channel: Channel) -> None:
        self._prefix = site.prefix
        self._fields = {"User-Agent": "hetao-gateway", "Accept-Encoding": "identity"} | _authorization(site)
        self._connection = _Connection(site, channel, _context(site))

    def url(self, segments: Iterable[str]) -> str:
        """The request target of a path below the base URL; every byte outside `unreserved` is encoded."""
        return "/".join((self._prefix, *(quote(segment, safe="") for segment in segments)))

    def ask(self, method: str, target: str, fields: Mapping[str, str] | None = None) -> Answer:
        """A request without a body; the response's body is thrown away."""
        with _blamed(), self._closing_on_failure():
            self._begin(method, target, fields or {})
            return self._answer()

    def put(self, target: str, size: int, content: Iterable[bytes | memoryview], fields: Mapping[str, str]) -> Answer:
        """PUT `size` bytes. A server may answer before it has them all; then the rest is not sent."""
        with _blamed(), self._closing_on_failure():
            self._begin("PUT", target, {"Content-Length": str(size), **fields})
            try:
                for piece in content:
                    self._connection.send(piece)
            except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
                early = self._answer()  # raises where there is none
                self.close()
                return early
            return self._answer()

    def get(self, target: str) -> Iterator[bytes]:
        """A representation's bytes; any status but 200 is an error."""
        with _blamed(), self._closing_on_failure():
            self._begin("GET", target, {})
            response = self._connection.getresponse()
            if response.status != 200:
                raise refusal(Answer(response.status, {}), "give back what it stored")
            while piece := response.read(_PIECE):
                yield piece

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _begin(self, method: str, target: str, fields: Mapping[str, str]) -> None:
        self._connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in (self._fields | dict(fields)).items():
            self._connection.putheader(name, value)
        self._connection.endheaders()

    def _answer(self) -> Answer:
        response = self._connection.getresponse()
        response.read(_BODY_KEPT)
        if not response.isclosed():
            self.close()  # a long body is not worth reading for the sake of the connection
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()})

    @contextmanager
    def _closing_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise


def refusal(answer: Answer, doing: str) -> EndpointError:
    """The error for an answer that was not hoped for; `doing` completes "the HTTPS endpoint did not ..."."""
    status = answer.status
    retry = status in _PASSING or (status >= 500 and status not in _LASTING)
    if retry:
        advice = _wait(answer.field("Retry-After"))
    elif status in {401, 403, 407}:
        advice = "check the endpoint's token or client certificate and what it may write"
    elif 300 <= status < 400:
        advice = "redirects are not followed: have the registry's officers sign the new base_url"
    else:
        advice = "have the endpoint's operator and its registry entry compared"
    return EndpointError(f"the HTTPS endpoint did not {doing}: status {status}; {advice}", code="https", retry=retry)


def _wait(after: str) -> str:
    """What a Retry-After field asks for: seconds or a date (RFC 9110 section 10.2.3); anything else is not repeated."""
    if re.fullmatch("[0-9]{1,6}", after):
        return f"it asks to wait {after} s"
    try:
        return f"it asks to wait until {parsedate_to_datetime(after).isoformat()}"
    except ValueError:
        return "it is tried again"


@contextmanager
def _blamed() -> Iterator[None]:
    try:
        yield
    except ssl.SSLCertVerificationError as refused:
        raise EndpointError(
            f"the HTTPS endpoint's certificate is not trusted ({refused.verify_message}): compare `ca_file`, the host"
            " name and the certificate's dates",
            code="certificate",
            retry=False,
        ) from refused
    except (OSError, http.client.HTTPException) as broken:
        raise EndpointError(
            f"the connection to the HTTPS endpoint broke ({type(broken).__name__}); it is tried again",
            code="https",
            retry=True,
        ) from broken


def _context(site: Site) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=None if site.ca_file is None else str(site.ca_file))
        if site.client_cert_file is not None:
            context.load_cert_chain(site.client_cert_file, site.client_key_file)
    except OSError as refused:  # ssl.SSLError is one
        raise EndpointError(
            f"the HTTPS endpoint's CA, certificate or key file cannot be used ({refused.strerror}): check `ca_file`,"
            " `client_cert_file` and `client_key_file`",
            code="endpoint-credential",
            retry=False,
        ) from refused
    context.minimum_version = site.tls_minimum
    context.set_alpn_protocols(["http/1.1"])
    return context


def _authorization(site: Site) -> dict[str, str]:
    if site.bearer_token_file is None:
        return {}
    try:
        token = site.bearer_token_file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as refused:
        raise EndpointError(
            "the HTTPS endpoint's token file cannot be read: check `bearer_token_file`",
            code="endpoint-credential",
            retry=False,
        ) from refused
    if not token.isprintable() or not token or " " in token:
        raise EndpointError(
            "the HTTPS endpoint's token file must hold one token and nothing else",
            code="endpoint-credential",
            retry=False,
        )
    return {"Authorization": f"Bearer {token}"}


def _read_base_url(table: Table) -> tuple[str, int, str]:
    text = table.text("base_url")
    form = "https://host[:port]/path without user, query or fragment"
    try:
        url = urlsplit(text)
        port = url.port or 443
    except ValueError as broken:
        raise table.refusal("base_url", form) from broken
    if url.scheme != "https" or not url.hostname or "@" in url.netloc or "?" in text or "#" in text:
        raise table.refusal("base_url", form)
    if not text.isascii() or " " in text:
        raise table.refusal("base_url", "percent-encoded ASCII")
    return url.hostname, port, url.path.rstrip("/")
