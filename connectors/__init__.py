"""Hong Kong endpoint kinds, one package each, found by the entry-point group `hetao.connectors`.

What this is: the last hop. A connector brings a sealed consignment to an endpoint and says how well it can prove it.
What it is not: it never sees plaintext or a file key, decides nothing, retries nothing and keeps no state of its own.

The rules a change must keep:
1. Connectors know `gateway.ports`, `gateway.core` and `gateway.wire`, never the flow and never each other.
2. There is no base class; what they share is nouns: `naming`, `outgoing`, `settings`, `channel`.
3. All of them run the suite `tests/contracts/test_connectors.py`, and grade themselves in `quality.toml`.
"""
