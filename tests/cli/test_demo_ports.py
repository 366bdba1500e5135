"""The demo's ports: free, never the same twice, and none that an outgoing connection may get meanwhile."""

from __future__ import annotations

import itertools
import socket
from contextlib import ExitStack

import pytest

from gateway.cli.demo import world
from gateway.cli.demo.world import free_port
from gateway.core.errors import StoreError


def test_ports_differ_and_lie_below_those_of_outgoing_connections():
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    assert all(1024 < port < 32_768 for port in ports)
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()


def test_a_port_somebody_has_is_passed_over(monkeypatch):
    with ExitStack() as stack:
        taken = free_port()
        stack.enter_context(socket.create_server(("127.0.0.1", taken)))
        monkeypatch.setattr(world, "_turns", itertools.count(taken - world._FIRST_PORT))
        assert free_port() != taken
        monkeypatch.setattr(world, "_turns", itertools.repeat(taken - world._FIRST_PORT))
        with pytest.raises(StoreError, match="no port of 20000 to 31999"):
            free_port()
