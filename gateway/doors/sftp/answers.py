"""What went wrong, as SFTP says it: one table from the core's errors to status codes of version 3.

A change must keep these:
1. What is our doing is told without detail; the log has it.
2. The sentence of a caller's error goes to the client as it is: it says what to do.

Source: draft-ietf-secsh-filexfer-02 section 7.
"""

from __future__ import annotations

from asyncssh import (
    SFTPError,
    SFTPFailure,
    SFTPInvalidFilename,
    SFTPNoSpaceOnFilesystem,
    SFTPNoSuchFile,
    SFTPOpUnsupported,
    SFTPPermissionDenied,
    SFTPQuotaExceeded,
)

from gateway.core.errors import CallerError, GatewayError, NotFound, NotPermitted, TooLarge


def answer(failure: GatewayError) -> SFTPError:
    """The status a failure is answered with."""
    if isinstance(failure, NotFound):
        return SFTPNoSuchFile(failure.message)
    if isinstance(failure, NotPermitted):
        return SFTPPermissionDenied(failure.message)
    if isinstance(failure, TooLarge):
        return SFTPQuotaExceeded(failure.message)
    if failure.code == "bad-path":
        return SFTPInvalidFilename(failure.message)
    if isinstance(failure, CallerError):
        return SFTPFailure(failure.message)
    if failure.code == "disk-full":
        return SFTPNoSpaceOnFilesystem("the gateway has no room left: try again later")
    return SFTPFailure("the gateway could not do this now: try again later")


def denied(reason: str) -> SFTPError:
    """What a caller may not do here, whoever it is."""
    return SFTPPermissionDenied(reason)


def unsupported(what: str) -> SFTPError:
    """What this door does not do at all."""
    return SFTPOpUnsupported(what)
