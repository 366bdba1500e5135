"""The command line: `hetao ...`. Exit codes: 0 fine, 1 refused or failed check, 2 usage, 3 cannot reach."""

from __future__ import annotations

import sys

from gateway.core.errors import EndpointError, GatewayError, StoreError, Unusable

FINE, REFUSED, USAGE, UNREACHABLE = 0, 1, 2, 3


def exit_code(failure: GatewayError) -> int:
    """The exit code an error means."""
    if isinstance(failure, Unusable):
        return USAGE
    return UNREACHABLE if isinstance(failure, StoreError | EndpointError) else REFUSED


def main() -> None:
    """The entry point of `hetao`."""
    from gateway.cli.commands import build  # noqa: PLC0415  # imported late: errors while loading are told like others

    try:
        build(sys.argv[1] if len(sys.argv) > 1 else "")()
    except GatewayError as failure:
        print(f"hetao: {failure.message}", file=sys.stderr)  # noqa: T201  # the one place errors reach the terminal
        sys.exit(exit_code(failure))
