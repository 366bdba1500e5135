"""`python -m gateway.cli`, the same as `hetao`."""

from gateway.cli import main

main()
