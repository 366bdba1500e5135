"""The pure domain, in flow order: no I/O, no clock, no randomness. What it is told is all it knows."""
