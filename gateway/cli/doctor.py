"""`hetao doctor`: one line each on settings, keys, certificate, database, rules, ledger, disk, clock and endpoints."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import typer
from cryptography import x509

from gateway.cli import REFUSED
from gateway.cli.desk import AsJson, Config, out, show_json, with_gateway
from gateway.core.errors import GatewayError
from gateway.core.facts import local_day
from gateway.core.filings import TO_DO, URGENT
from gateway.core.listing import restricted_by
from gateway.core.records import Endpoint, RestrictedRecipient, WhitelistEntry
from gateway.flow.decide import active_rulebook
from gateway.identity.revocationlists import RevocationLists, load_bundle
from gateway.wiring import Gateway, unkept

Check = Callable[[Gateway], Awaitable[str]]
LITTLE_SPACE = 5 << 30  # bytes; below, uploads of research data will fail soon
SHORT_VALIDITY = 30  # days
SHORT_LIST = 7  # days; after its end nobody gets in by certificate


def doctor(config: Config = None, as_json: AsJson = False) -> None:
    """Look at everything a gateway needs; exit 1 where something must be mended."""

    async def work(gateway: Gateway) -> list[dict[str, str]]:
        found = [await _line(gateway, name, check) for name, check in _CHECKS.items()]
        registry = await gateway.registrar.registry()
        probes = {f"endpoint {endpoint.id}": _probe(endpoint) for endpoint in registry.all(Endpoint)}
        return found + [await _line(gateway, name, probe) for name, probe in probes.items()]

    lines = with_gateway(config, work)
    if as_json:
        show_json(lines)
    else:
        for line in lines:
            colour = "green" if line["state"] == "ok" else "red"
            out.print(
                f"[{colour}]{line['state']:5}[/{colour}] {line['what']}: {line['says']}",
                highlight=False,
                soft_wrap=True,
            )
    if any(line["state"] != "ok" for line in lines):
        raise typer.Exit(REFUSED)


async def _line(gateway: Gateway, what: str, check: Check) -> dict[str, str]:
    try:
        return {"what": what, "state": "ok", "says": await check(gateway)}
    except GatewayError as wrong:
        return {"what": what, "state": "wrong", "says": wrong.message}


async def _settings(gateway: Gateway) -> str:
    changed = [name for name, source in gateway.settings.sources.items() if source != "default"]
    return f"{len(changed)} of {len(gateway.settings.values)} set"


async def _certificate(gateway: Gateway) -> str:
    path = gateway.settings.path("https.certificate")
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as wrong:
        raise GatewayError(f"{path.name} cannot be read: {wrong}") from wrong
    days = (certificate.not_valid_after_utc - datetime.now(UTC)).days
    if days < SHORT_VALIDITY:
        raise GatewayError(f"{path.name} expires in {days} days: renew it")
    issuer = "development authority" if "development" in certificate.issuer.rfc4514_string() else "its authority"
    return f"valid for {days} days, from {issuer}"


async def _client_authorities(gateway: Gateway) -> str:
    settings = gateway.settings
    if not settings.text("https.client_ca"):
        return "none: no client certificates are asked for"
    authorities = load_bundle(settings.path("https.client_ca"))
    crl = settings.path("https.client_crl") if settings.text("https.client_crl") else None
    ends = min(each.not_valid_after_utc for each in authorities)
    if (list_ends := RevocationLists(authorities, crl, gateway.recorder.clock).runs_out()) is not None:
        ends = min(ends, list_ends)
    days = (ends - datetime.now(UTC)).days
    if days < SHORT_LIST:
        raise GatewayError(
            f"an authority in https.client_ca or its list runs out in {days} days: `hetao keys client-crl`"
        )
    return f"{len(authorities)}, {'with' if crl else 'without'} a list of certificates taken back, for {days} days"


async def _filings(gateway: Gateway) -> str:
    found = await gateway.filings.all()
    urgent = [each for each in found if each.standing.state in URGENT]
    if urgent:
        raise GatewayError(f"{len(urgent)} overdue or expired: see `hetao filings check`; retire what was replaced")
    waiting = sum(each.standing.state in TO_DO for each in found)
    return f"{len(found)} on file" + (f", {waiting} to act on: `hetao filings check`" if waiting else "")


async def _lists(gateway: Gateway) -> str:
    registry, today = await gateway.registrar.registry(), local_day(gateway.recorder.clock.now())
    entries = registry.all(RestrictedRecipient)
    listed = [each.id for each in registry.all(Endpoint) if restricted_by(each, entries, today) or each.listed_pipl42]
    whitelist = sum(each.holds_on(today) for each in registry.all(WhitelistEntry))
    closed = f"; nothing goes to {', '.join(listed)} (PIPL art 42)" if listed else ""
    return f"{whitelist} on a whitelist, {len(entries)} restricted recipients{closed}"


async def _database(gateway: Gateway) -> str:
    revision, _ = await gateway.database.revision()
    async with gateway.database.read() as view:
        counts = await view.state_counts()
    return f"version {revision}, {sum(count for count, _ in counts.values())} transfers"


async def _rules(gateway: Gateway) -> str:
    registry = await gateway.registrar.registry()
    digest = active_rulebook(registry, local_day(gateway.recorder.clock.now()))
    if digest != gateway.policies.rulebook.digest:
        raise GatewayError(f"pack {digest[:12]} is active, {gateway.policies.rulebook.digest[:12]} is installed")
    signed = f"signed by {gateway.policies.signer}" if gateway.policies.signer else "not signed"
    laxer = gateway.policies.rulebook.choices.flags()
    readings = f", readings laxer than the default: {', '.join(laxer)}" if laxer else ""
    return f"pack {digest[:12]}, {len(gateway.policies.rulebook.rules)} rules, {signed}{readings}"


async def _controls(gateway: Gateway) -> str:
    profile = gateway.settings.text("controls.profile")
    if missing := unkept(gateway.settings, gateway.policies):
        raise GatewayError(f"profile {profile} is not kept and rule T1 denies every transfer: {'; '.join(missing)}")
    return f"profile {profile} is kept"


async def _ledger(gateway: Gateway) -> str:
    found = await gateway.audit.verify()
    if found.problems:
        raise GatewayError(f"{len(found.problems)} problem(s), first: {found.problems[0]}")
    return f"{found.entries} entries, root {found.root[:12]}, checkpoint over {found.checkpoint_size}"


async def _disk(gateway: Gateway) -> str:
    free = shutil.disk_usage(_existing(gateway.settings.path("gateway.data"))).free
    if free < LITTLE_SPACE:
        raise GatewayError(f"{free >> 20} MiB free below gateway.data: make room")
    return f"{free >> 30} GiB free"


async def _clock(gateway: Gateway) -> str:
    async with gateway.database.read() as view:
        size = await view.tree_size()
        last = await view.entries(size - 1, 1) if size else ()
    now = gateway.recorder.clock.now()
    return f"{now.isoformat(timespec='seconds')}, {'after the newest entry' if last else 'no entry yet'}"


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


def _probe(endpoint: Endpoint) -> Check:
    async def probe(gateway: Gateway) -> str:
        return gateway.connectors.make(endpoint).probe()

    return probe


_CHECKS: dict[str, Check] = {
    "settings": _settings,
    "certificate": _certificate,
    "client authorities": _client_authorities,
    "database": _database,
    "rules": _rules,
    "filings": _filings,
    "lists": _lists,
    "controls": _controls,
    "ledger": _ledger,
    "disk": _disk,
    "clock": _clock,
}
