"""The async spine: one module a stage, one recorder, one conductor. Reaches outside through `gateway.ports` only."""
