"""The gateway's errors: one tree, split by blame, each telling the edge what it needs to answer.

The rules:
1. An expected "no" (a refusal under the law, a failed check) is a value, never one of these.
2. Every error says what is wrong *and* what to do, without personal data: names of files are given as they came
   to the sender only, and doors mask them in logs.
3. `code` is permanent: it is the last part of the RFC 9457 problem type and never changes its meaning.
4. `retry` says whether the same request may succeed later without a change by the caller.

The tree (a test compares it with the classes)::

    GatewayError
    ├── CallerError            the sender's doing
    │   ├── Unusable           the input cannot be understood
    │   ├── NotAuthenticated   no valid credential
    │   ├── NotPermitted       a valid credential that may not do this
    │   ├── NotFound           nothing there for this caller
    │   ├── Conflict           the thing is in another state than the request assumes
    │   ├── TooLarge           a bound on size, depth or count was passed
    │   └── Incomplete         a body ended before it was whole
    ├── EndpointError          the receiving side's doing
    ├── StoreError             our storage's doing: disk, database, vault
    └── BrokenPromise          evidence does not agree with itself; never retried, always an incident
"""

from __future__ import annotations


class GatewayError(Exception):
    """Base of everything the gateway raises on purpose.

    Args:
        message: One sentence for people: what is wrong and what to do.
        code: Permanent kebab-case identifier; the class's default where not given.
        retry: Whether the same request may succeed later unchanged.
        wait: Seconds before it can, where that is known; 0 where it is not.
    """

    code: str = "internal"
    retry: bool = False

    def __init__(self, message: str, *, code: str | None = None, retry: bool | None = None, wait: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.wait = wait
        if code is not None:
            self.code = code
        if retry is not None:
            self.retry = retry


class CallerError(GatewayError):
    """The sender's doing: the request must change before it can succeed."""

    code = "bad-request"


class Unusable(CallerError):
    """The input cannot be understood: syntax, unknown keys, words outside the list."""

    code = "unusable"


class NotAuthenticated(CallerError):
    """No valid credential was presented. Says nothing about which part failed."""

    code = "not-authenticated"


class NotPermitted(CallerError):
    """The credential is valid but may not do this, or not through this door."""

    code = "not-permitted"


class NotFound(CallerError):
    """Nothing there for this caller; also the answer for another institution's things."""

    code = "not-found"


class Conflict(CallerError):
    """The thing is in another state than the request assumes."""

    code = "conflict"


class TooLarge(CallerError):
    """A bound on size, depth, time or count was passed; the message names the bound."""

    code = "too-large"


class Incomplete(CallerError):
    """A body ended before it was whole; nothing was recorded and the same request may be sent again."""

    code = "incomplete"
    retry = True


class EndpointError(GatewayError):
    """The receiving side's doing. `retry` is False for what another attempt cannot mend."""

    code = "endpoint"
    retry = True


class StoreError(GatewayError):
    """Our storage's doing: disk full, database away, vault unreadable."""

    code = "store"
    retry = True


class BrokenPromise(GatewayError):
    """Evidence does not agree with itself: a signature, digest or key that must match does not."""

    code = "broken-promise"
