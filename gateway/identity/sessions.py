"""Sessions of the upload page: an application password once, then a signed cookie that is worth what the password still is.

What it is not: a table. A session is a JWS under the gateway's token key; only one that somebody ended leaves a row, among
the revocations, and every process reads those.

A change must keep these:
1. A session is not believed for being signed: at every request the password it began with must still be registered, the same,
   in its days, and revoked neither as a whole nor for this session.
2. It ends 30 minutes after its last use and 8 hours after sign-in, whichever comes first; nothing makes it last longer.
3. It carries no secret and no name of a person. Its id stands in the cookie alone, and in the database once it was ended.
4. It is no access token, and no access token is a session: type and audience differ.

Why: decisions/0034. Sources: RFC 7519, RFC 8725 section 3.11.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gateway.core.errors import NotAuthenticated
from gateway.core.identity import Door, Principal, password_client
from gateway.core.records import AppPassword
from gateway.identity.apppasswords import AppPasswords
from gateway.identity.claims import Claims, parse_claims, peek
from gateway.identity.tokens import SigningKeys
from gateway.ports import Clock, Entropy, Records
from gateway.wire import canonical

TYP: Final = "hetao-page+jwt"
IDLE: Final = timedelta(minutes=30)
LONGEST: Final = timedelta(hours=8)
RENEWED_AFTER: Final = timedelta(minutes=1)  # a cookie younger than this is left as it is
MAX_COOKIE: Final = 2048


@dataclass(frozen=True)
class Session:
    """A person who is signed in.

    Attributes:
        principal: Who, as of this request.
        user: The user name of the password.
        id: What the session is ended by.
        form_token: What every form and every request of the page's script must carry.
        ends: When it is over at the latest if nothing more is done.
        cookie: A new cookie's value; empty where the one that was shown still does.
    """

    principal: Principal
    user: str
    id: str = field(repr=False)
    form_token: str = field(repr=False)
    ends: datetime
    cookie: str = field(default="", repr=False)


class PageSessions:
    """Begins, checks and ends sessions.

    Args:
        passwords: Who a password belongs to.
        records: Where sessions that were ended are.
        clock: The time.
        entropy: Where ids come from.
        issuer: The gateway's URL.
        key: The keys for tokens.
    """

    def __init__(
        self,
        *,
        passwords: AppPasswords,
        records: Records,
        clock: Clock,
        entropy: Entropy,
        issuer: str,
        key: SigningKeys,
    ) -> None:
        self._passwords = passwords
        self._records = records
        self._clock = clock
        self._entropy = entropy
        self._audience = f"{issuer}#page"
        self._key = key

    async def begin(self, user: str, secret: str) -> Session:
        """A new session; raises NotAuthenticated with `invalid-password`, whatever is wrong."""
        principal, record = await self._passwords.proved(user, secret, Door.PAGE)
        now = self._clock.now()
        return self._made(principal, record, self._entropy.token(16).hex(), now, now)

    async def current(self, cookie: str) -> Session:
        """The session a cookie stands for.

        Raises:
            NotAuthenticated: `session-ended`, whatever is wrong with it.
            StoreError: The database cannot be reached.
        """
        now = self._clock.now()
        try:
            claims = self._signed(cookie)
            user, session_id, mark = claims.word("sub"), claims.word("jti"), claims.word("mark")
            began, used = _at(claims, "auth_time"), _at(claims, "iat")
        except ValueError as wrong:
            raise _ended() from wrong
        ends = min(used + IDLE, began + LONGEST)
        if not began <= used <= now + RENEWED_AFTER or now >= ends:  # processes on other hosts may be a little ahead
            raise _ended()
        standing = await self._passwords.standing(user, session_id, Door.PAGE)
        if standing is None or not hmac.compare_digest(_mark(standing[1]), mark):
            raise _ended()
        if now - used >= RENEWED_AFTER:
            return self._made(*standing, session_id, began, now)
        return Session(standing[0], user, session_id, _form_token(session_id), ends)

    async def end(self, user: str, session: str) -> None:
        """End a session by its id, in every process; raises StoreError where that cannot be written."""
        async with self._records.write() as tx:
            await tx.revoke(password_client(user), session, self._clock.now())

    def _made(
        self, principal: Principal, record: AppPassword, session_id: str, began: datetime, now: datetime
    ) -> Session:
        ends = min(now + IDLE, began + LONGEST)
        claims: dict[str, Any] = {
            "aud": self._audience,
            "sub": record.id,
            "jti": session_id,
            "auth_time": int(began.timestamp()),
            "iat": int(now.timestamp()),
            "mark": _mark(record),
        }
        cookie = self._key.signing().sign(canonical.encode(claims), TYP)
        return Session(principal, record.id, session_id, _form_token(session_id), ends, cookie)

    def _signed(self, cookie: str) -> Claims:
        unverified, _ = peek(cookie, MAX_COOKIE)
        key = self._key.published(self._clock.now()).get(str(unverified.get("kid")))
        if key is None:
            raise ValueError("signed with no key of ours")
        header, payload = key.verified(cookie)
        claims = parse_claims(payload)
        if header.get("typ") != TYP or claims.audience() != self._audience:
            raise ValueError("no session of this gateway's")
        return claims


def _at(claims: Claims, name: str) -> datetime:
    seconds = claims.time(name)
    if seconds is None or not 0 <= seconds < 1 << 36:
        raise ValueError(f"{name} is no time")
    return datetime.fromtimestamp(seconds, UTC)


def _mark(record: AppPassword) -> str:
    """Which password of that user name it was: one registered in its place begins no old session again."""
    return hashlib.sha256(f"hetao-page-session-1\0{record.digest}\0{record.valid_from}".encode()).hexdigest()[:32]


def _form_token(session_id: str) -> str:
    """Follows from the id, which nobody but the browser's cookie store has; from it, the id does not follow."""
    return hashlib.sha256(f"hetao-page-form-1\0{session_id}".encode()).hexdigest()


def _ended() -> NotAuthenticated:
    return NotAuthenticated("the sign-in has ended: sign in again", code="session-ended")
