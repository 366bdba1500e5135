"""Who may not even try: failed sign-ins counted by address, and addresses banned for a while.

What it is not: authentication. Nobody gets in because an address is not banned.

The rules:
1. What is counted is told by the doors: one failure a connection or request, however many keys it offered.
2. An IPv4 address counts alone. An IPv6 one counts by its /64, which is what one customer gets (RFC 6177, RIPE-690).
3. A ban is decided here at once and made durable in the background; every process and the command line read the list,
   and a ban lifted there is forgotten here within `REFRESH` seconds.
4. Memory is bounded: beyond `MAX_REMEMBERED` addresses the oldest failures are forgotten, and the oldest bans are left
   to the database.
5. Failures are counted by process: with n processes an address has up to n times the tries.

When a step fails: the database is away -> bans decided here hold in this process and are written when it is back.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from gateway.core.errors import GatewayError, NotFound, Unusable
from gateway.ports import Ban, Clock, Observer, Records

REFRESH: Final = 3.0
MAX_REMEMBERED: Final = 10_000
MAX_REASON: Final = 200
FAILURES: Final = "failures"
_PREFIX: Final = 64
_LONGEST: Final = timedelta(days=3660)

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Defence:
    """When an address is banned, and for how long.

    Attributes:
        failures: Failed sign-ins within the window; 0 never bans.
        window: How long a failure counts.
        ban: How long a ban lasts.
        exempt: Networks that are never banned.
    """

    failures: int = 10
    window: timedelta = timedelta(minutes=10)
    ban: timedelta = timedelta(hours=1)
    exempt: tuple[Network, ...] = ()


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks in CIDR form, separated by spaces or commas; raises Unusable naming the wrong one."""
    found = []
    for word in text.replace(",", " ").split():
        try:
            found.append(ip_network(word))
        except ValueError as wrong:
            raise Unusable(f"{word!r} is no network such as 192.0.2.0/24 or 2001:db8::/32: {wrong}") from wrong
    return tuple(found)


def counted_as(remote: str) -> str:
    """What an address is counted as: itself, or the /64 around it; empty where it is no address.

    An IPv4 address in IPv6 form (RFC 4291 section 2.5.5.2) is the IPv4 one; a zone (RFC 4007) says nothing here.
    """
    try:
        address = ip_address(remote.partition("%")[0])
    except ValueError:
        return ""
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((address, _PREFIX), strict=False))


def parse_remote(text: str) -> str:
    """What people write for an address: one of either kind, or a /64; raises Unusable for anything else."""
    if remote := counted_as(text.removesuffix(f"/{_PREFIX}") if ":" in text else text):
        return remote
    raise Unusable(f"{text!r} is no IPv4 or IPv6 address, nor an IPv6 /64 prefix")


class Defender:
    """Counts failures and knows who is banned.

    Args:
        records: Where bans are kept.
        clock: The time.
        observer: Told of failures and bans.
        defence: When to ban.
    """

    def __init__(self, *, records: Records, clock: Clock, observer: Observer, defence: Defence) -> None:
        self._records = records
        self._clock = clock
        self._observer = observer
        self._defence = defence
        self._failures: OrderedDict[str, deque[datetime]] = OrderedDict()
        self._until: dict[str, datetime] = {}
        self._unwritten: dict[str, Ban] = {}
        self._wake = asyncio.Event()

    # --- for doors ---------------------------------------------------------------------------------------------------

    def banned(self, remote: str) -> int:
        """Seconds until an address may try again, at least 1; 0 where it is not banned. Asks nothing but memory."""
        counted = counted_as(remote)
        until = self._until.get(counted)
        if until is None or self._exempt(counted):
            return 0
        left = (until - self._clock.now()).total_seconds()
        return max(1, round(left)) if left > 0 else 0

    def failed(self, remote: str, door: str) -> None:
        """Count a sign-in that failed; the one that is too many bans the address."""
        self._observer.saw("login.failed", door=door, remote=remote)
        counted = counted_as(remote)
        if not counted or not self._defence.failures or self._exempt(counted):
            return
        now = self._clock.now()
        times = self._failures.setdefault(counted, deque(maxlen=self._defence.failures))
        self._failures.move_to_end(counted)
        times.append(now)
        if len(times) == times.maxlen and now - times[0] < self._defence.window:
            self._ban(Ban(counted, FAILURES, now, now + self._defence.ban))
            self._observer.saw("address.banned", door=door, remote=counted, seconds=self._defence.ban.total_seconds())
        elif len(self._failures) > MAX_REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, remote: str) -> None:
        """Somebody signed in from there: what failed before is forgiven."""
        self._failures.pop(counted_as(remote), None)

    def _exempt(self, counted: str) -> bool:
        network = ip_network(counted)
        return any(each.version == network.version and _within(network, each) for each in self._defence.exempt)

    def _ban(self, ban: Ban) -> None:
        self._failures.pop(ban.remote, None)
        self._until[ban.remote] = ban.until
        self._unwritten[ban.remote] = ban
        for held in (self._until, self._unwritten):
            if len(held) > MAX_REMEMBERED:
                del held[next(iter(held))]
        self._wake.set()

    # --- the list that all processes share ---------------------------------------------------------------------------

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Follow the list until the block ends."""
        await self._refresh_or_tell()
        watch = asyncio.ensure_future(self._watch())
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.wait({watch})
            if self._unwritten:
                await self._refresh_or_tell()

    async def refresh(self) -> None:
        """Write what was decided here, then read what stands; raises StoreError where the database is away."""
        if writing := dict(self._unwritten):
            async with self._records.write() as tx:
                for ban in writing.values():
                    await tx.put_ban(ban)
            self._unwritten = {key: ban for key, ban in self._unwritten.items() if writing.get(key) is not ban}
        standing = await self.standing()
        ours = [*self._unwritten.values()]
        self._until = {ban.remote: ban.until for ban in (*reversed(standing), *ours)}
        for remote in self._until:
            self._failures.pop(remote, None)

    async def _watch(self) -> None:
        while True:
            with suppress(TimeoutError):  # nobody was banned here meanwhile
                await asyncio.wait_for(self._wake.wait(), REFRESH)
            self._wake.clear()
            await self._refresh_or_tell()

    async def _refresh_or_tell(self) -> None:
        try:
            await self.refresh()
        except GatewayError as failure:
            self._observer.saw("defender.faltered", code=failure.code)
        except Exception as mistake:  # noqa: BLE001  # without this list the doors still stand; they must not stop for it
            self._observer.saw("defender.mistaken", error=type(mistake).__name__)

    # --- for operators -----------------------------------------------------------------------------------------------

    async def standing(self) -> Sequence[Ban]:
        """The bans that stand, the newest first, at most `MAX_REMEMBERED`."""
        async with self._records.read() as view:
            return await view.bans(self._clock.now(), MAX_REMEMBERED)

    async def ban(self, remote: str, length: timedelta, reason: str) -> Ban:
        """Ban an address by an operator's word.

        Raises:
            Unusable: No address, a length that is none, or an address that is exempt.
        """
        counted, now = parse_remote(remote), self._clock.now()
        if self._exempt(counted):
            raise Unusable(f"{counted} is exempt by the setting defender.exempt: take it out there first")
        if not timedelta() < length <= _LONGEST:
            raise Unusable(f"a ban lasts longer than nothing and at most {_LONGEST.days} days")
        ban = Ban(counted, reason[:MAX_REASON], now, now + length)
        async with self._records.write() as tx:
            await tx.put_ban(ban)
        return ban

    async def lift(self, remote: str) -> str:
        """Lift a ban; gives the address as it was banned.

        Raises:
            Unusable: No address.
            NotFound: It is not banned.
        """
        counted = parse_remote(remote)
        async with self._records.write() as tx:
            if not await tx.drop_ban(counted):
                raise NotFound(f"{counted} is not banned: see `hetao bans list`")
        return counted


def _within(network: Network, around: Network) -> bool:
    """Whether a network lies in another of the same version."""
    if isinstance(network, IPv4Network) and isinstance(around, IPv4Network):
        return network.subnet_of(around)
    return isinstance(network, IPv6Network) and isinstance(around, IPv6Network) and network.overlaps(around)
