"""The law as data. No code lives here: a regular package only so that no other `policies` on the path can mix with it."""
