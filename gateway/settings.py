"""Settings: one table of what can be set, and how a TOML file and the environment fill it.

The rules:
1. `SETTINGS` is the only list: it feeds the reader, `hetao config show`, the sample file and the documentation.
2. Unknown keys are refused, in the file and in the environment; all complaints come at once.
3. The environment wins over the file: `HETAO_SECTION__KEY`; for a secret also `HETAO_SECTION__KEY_FILE`, whose
   content is read (so that no secret stands in a process list).
4. Relative paths are relative to the settings file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.core.errors import Unusable

ENVIRONMENT = "HETAO_"
CONFIG = "HETAO_CONFIG"
SEND_ENVIRONMENT = "HETAO_SEND_"  # the sender's client (`gateway.cli.send.profile`), no settings of a gateway


@dataclass(frozen=True)
class Setting:
    """One thing that can be set.

    Attributes:
        name: `section.key`.
        kind: `text`, `path`, `port`, `count`, `days`, or `choice`.
        default: Its value where nobody sets it.
        help: One line for people.
        choices: For a `choice`.
        secret: Whether it may come from a `_FILE` variable and is never shown.
    """

    name: str
    kind: str
    default: str | int
    help: str
    choices: tuple[str, ...] = ()
    secret: bool = False


SETTINGS: tuple[Setting, ...] = (
    Setting("gateway.data", "path", "data", "folder of the vault, the keyring and the embedded database"),
    Setting(
        "gateway.issuer", "text", "https://localhost:8443", "URL under which clients reach the HTTPS door; names tokens"
    ),
    Setting("gateway.workers", "count", 1, "processes that share the ports; `hetao serve --workers` goes before it"),
    Setting("database.url", "text", "", "SQLAlchemy URL; empty: SQLite below gateway.data", secret=True),
    Setting("registry.genesis", "text", "", "digest of the genesis change, printed by `hetao init`"),
    Setting("ledger.origin", "text", "hetao-gateway", "the ledger's name in checkpoints (C2SP origin line)"),
    Setting("keys.vault_public", "path", "keys/vault.pub", "Crypt4GH public key every upload is sealed to"),
    Setting("keys.vault_private", "path", "keys/vault.sec", "its private half; only inspecting and sealing read it"),
    Setting("keys.signing", "path", "keys/signing", "Ed25519 key (OpenSSH) for clearances, manifests and receipts"),
    Setting("keys.ledger", "path", "keys/ledger.pem", "Ed25519 key for ledger checkpoints"),
    Setting("keys.tokens", "path", "keys/tokens.pem", "ES256 or Ed25519 key for access tokens"),
    Setting("https.host", "text", "127.0.0.1", "address of the HTTPS door"),
    Setting("https.port", "port", 8443, "port of the HTTPS door"),
    Setting("https.certificate", "path", "keys/https.pem", "its certificate chain (PEM)"),
    Setting("https.key", "path", "keys/https.key", "its private key (PEM)"),
    Setting("https.minimum_tls", "choice", "1.3", "oldest TLS version it speaks", ("1.3", "1.2")),
    Setting(
        "https.origins",
        "text",
        "",
        "origins whose pages may call /v1/ and /files/ from a browser (CORS), apart by spaces; empty: none",
    ),
    Setting("https.client_ca", "path", "", "authorities of client certificates (PEM); empty: none is asked for"),
    Setting(
        "https.client_crl", "path", "", "their list of certificates taken back, read again when it changes; empty: none"
    ),
    Setting("https.streams", "count", 16, "event streams an institution, a process; 0: no bound"),
    Setting("page.host", "text", "127.0.0.1", "address of the upload page for people"),
    Setting("page.port", "port", 8445, "port of the same, with the certificate of the HTTPS door"),
    Setting("page.served", "choice", "yes", "whether there is an upload page", ("yes", "no")),
    Setting("sftp.host", "text", "127.0.0.1", "address of the SFTP door"),
    Setting("sftp.port", "port", 2022, "port of the SFTP door"),
    Setting("sftp.host_key", "path", "keys/sftp_host", "its host key (OpenSSH, Ed25519)"),
    Setting("sftp.user_ca", "path", "", "public key(s) of the SSH CA whose user certificates it takes; empty: none"),
    Setting("sftp.connections", "count", 64, "signed-in connections an institution, a process; 0: no bound"),
    Setting("sftp.knocking", "count", 100, "connections of an address not signed in yet, a process; 0: no bound"),
    Setting("sftp.session_handles", "count", 128, "open files and folders a session"),
    Setting("sftp.handles", "count", 1_024, "open files an institution, a process; 0: no bound"),
    Setting("sftp.uploads", "count", 256, "files an institution writes at once, a process; 0: no bound"),
    Setting("sftp.bandwidth", "count", 0, "bytes a second an institution may send, a process; 0: no bound"),
    Setting("sftp.login_seconds", "count", 30, "how long a caller has to sign in; 0: no bound"),
    Setting(
        "sftp.idle_seconds",
        "count",
        900,
        "how long a connection may be idle, four times that while it writes; 0: no bound",
    ),
    Setting(
        "sftp.keepalive_seconds",
        "count",
        30,
        "silence after which a peer is asked; the third ends it; 0: never asked",
    ),
    Setting("metrics.host", "text", "127.0.0.1", "address of /metrics, /healthz and /readyz"),
    Setting("metrics.port", "port", 9464, "port of the same"),
    Setting("channel.source_address", "text", "", "local address every connection to Hong Kong is bound to"),
    Setting("channel.interface", "text", "", "network interface it is bound to (Linux, needs CAP_NET_RAW)"),
    Setting("limits.files", "count", 100_000, "files a transfer"),
    Setting("limits.file_bytes", "count", 1 << 40, "bytes a file"),
    Setting("limits.transfer_bytes", "count", 4 << 40, "bytes a transfer"),
    Setting("limits.open_transfers", "count", 1_000, "open transfers an institution"),
    Setting(
        "limits.undelivered_bytes",
        "count",
        16 << 40,
        "bytes an institution may have here that are neither delivered nor ended; 0: no bound",
    ),
    Setting("limits.upload_hours", "count", 72, "how long an unfinished upload (tus) waits for its sender"),
    Setting(
        "inspect.classifiers",
        "count",
        1,
        "processes beside the gateway that classify large texts, at most; one for two cores is right, 0: none",
    ),
    Setting("inspect.memory_mib", "count", 3_072, "MiB of address space of a process that parses files"),
    Setting(
        "inspect.pictures",
        "choice",
        "held",
        "pictures larger than an icon, which no parser understands: held for people, or only noted",
        ("held", "noted"),
    ),
    Setting("inspect.seconds", "count", 120, "seconds a parser has for any file, besides one for each 2 MiB"),
    Setting(
        "clamd.address", "text", "", "socket path or host:port of clamd, for endpoints that ask for a scan; empty: none"
    ),
    Setting("clamd.stream_mib", "count", 25, "MiB of one stream to it: its StreamMaxLength or less"),
    Setting("clamd.seconds", "count", 120, "how long it may be silent"),
    Setting("defender.failures", "count", 10, "failed sign-ins of an address that ban it, both doors; 0: never"),
    Setting("defender.window_seconds", "count", 600, "how long a failed sign-in counts"),
    Setting("defender.ban_seconds", "count", 3_600, "how long a ban lasts"),
    Setting(
        "defender.exempt",
        "text",
        "127.0.0.0/8 ::1/128",
        "networks never banned (CIDR): a proxy in front, monitoring, an institution's NAT",
    ),
    Setting("webhooks.ca_file", "path", "", "the only authorities (PEM) webhooks are trusted by; empty: the system's"),
    Setting("review.appeal_days", "days", 30, "how long the key of an undelivered payload is kept"),
    Setting(
        "review.escalate_days", "count", 5, "working days after which a transfer that waits for votes is escalated"
    ),
    Setting(
        "retention.years",
        "count",
        3,
        "years after its end for which a transfer's evidence is kept, 3 at least; 0: nothing is destroyed by itself",
    ),
    Setting(
        "whitelist.needed",
        "choice",
        "none",
        "who must be on a whitelist of the registry to count as filed, or as known by real name",
        ("none", "institution", "person", "both"),
    ),
    Setting("policies.folder", "text", "", "folder of the rule pack; empty: the packaged one"),
    Setting(
        "policies.signers", "text", "", "file of SSH public keys; the rule pack must be signed by one; empty: by nobody"
    ),
    Setting(
        "controls.profile",
        "choice",
        "international",
        "technical controls that must be kept, or rule T1 denies (policies/profiles.toml)",
        ("international", "commercial-cryptography"),
    ),
    Setting(
        "telemetry.log_level", "choice", "info", "least level that is logged", ("debug", "info", "warning", "error")
    ),
)
_BY_NAME = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True)
class Settings:
    """What was set, and where it came from (`default`, `file`, `environment`)."""

    values: Mapping[str, str | int]
    sources: Mapping[str, str] = field(default_factory=dict)
    folder: Path = field(default_factory=Path)

    def text(self, name: str) -> str:
        """A setting as text."""
        return str(self.values[name])

    def number(self, name: str) -> int:
        """A setting as a whole number."""
        return int(self.values[name])

    def path(self, name: str) -> Path:
        """A setting as an absolute path."""
        return (self.folder / self.text(name)).resolve()

    def shown(self) -> dict[str, str | int]:
        """Every setting, secrets masked."""
        return {
            name: "***" if _BY_NAME[name].secret and value else value for name, value in sorted(self.values.items())
        }


def load_settings(file: Path | None, environment: Mapping[str, str]) -> Settings:
    """Settings from a file and the environment.

    Args:
        file: A TOML file; None reads the environment alone.
        environment: As `os.environ`.

    Raises:
        Unusable: With every complaint at once.
    """
    complaints: list[str] = []
    values: dict[str, str | int] = {setting.name: setting.default for setting in SETTINGS}
    sources = dict.fromkeys(values, "default")
    for name, raw in (_from_file(file, complaints) if file else {}).items():
        _set(values, sources, name, raw, "file", complaints)
    for name, raw in _from_environment(environment, complaints).items():
        _set(values, sources, name, raw, "environment", complaints)
    if complaints:
        raise Unusable("the settings cannot be used: " + "; ".join(complaints), code="bad-settings")
    return Settings(values, sources, file.resolve().parent if file else Path.cwd())


def sample() -> str:
    """A settings file with every setting at its default, commented."""
    lines: list[str] = []
    section = ""
    for setting in SETTINGS:
        this, _, key = setting.name.partition(".")
        if this != section:
            section = this
            lines += ["", f"[{section}]"]
        default = f'"{setting.default}"' if isinstance(setting.default, str) else str(setting.default)
        lines.append(f"# {key} = {default}  # {setting.help}")
    return "\n".join(lines).lstrip() + "\n"


def _from_file(file: Path, complaints: list[str]) -> dict[str, Any]:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as wrong:
        raise Unusable(f"the settings file cannot be read: {wrong}", code="bad-settings") from wrong
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise Unusable(f"the settings file {file.name} is not TOML: {wrong}", code="bad-settings") from wrong
    found: dict[str, Any] = {}
    for section, table in document.items():
        if not isinstance(table, dict):
            complaints.append(f"unknown key {section!r}: settings stand in sections")
            continue
        found |= {f"{section}.{key}": value for key, value in table.items()}
    return found


def _from_environment(environment: Mapping[str, str], complaints: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for variable, raw in environment.items():
        if not variable.startswith(ENVIRONMENT) or variable == CONFIG or variable.startswith(SEND_ENVIRONMENT):
            continue
        name = variable.removeprefix(ENVIRONMENT).lower().replace("__", ".")
        from_file = name.removesuffix("_file")
        if name not in _BY_NAME and from_file in _BY_NAME and _BY_NAME[from_file].secret:
            try:
                found[from_file] = Path(raw).read_text(encoding="utf-8").strip()
            except OSError as wrong:
                complaints.append(f"{variable}: {wrong.strerror}")
        else:
            found[name] = raw
    return found


def _set(
    values: dict[str, str | int], sources: dict[str, str], name: str, raw: Any, source: str, complaints: list[str]
) -> None:
    setting = _BY_NAME.get(name)
    if setting is None:
        complaints.append(f"unknown setting {name!r} in the {source}")
        return
    try:
        values[name] = _coerce(setting, raw)
        sources[name] = source
    except ValueError as wrong:
        complaints.append(f"{name} {wrong}")


def _coerce(setting: Setting, raw: Any) -> str | int:
    if setting.kind in {"port", "count", "days"}:
        if isinstance(raw, bool) or not isinstance(raw, int | str):
            raise ValueError("must be a whole number")
        try:
            number = int(raw)
        except ValueError:
            raise ValueError("must be a whole number") from None
        if number < 0 or (setting.kind == "port" and number > 65535):
            raise ValueError("is out of range")
        return number
    if not isinstance(raw, str):
        raise ValueError("must be a string")  # noqa: TRY004  # told to people with the other complaints
    if setting.choices and raw not in setting.choices:
        raise ValueError(f"must be one of {', '.join(setting.choices)}")
    return raw
