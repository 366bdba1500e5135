"""Logs, metrics and health: projections of what the flow tells its Observer."""
