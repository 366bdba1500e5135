"""Schema revisions, oldest first; see `gateway.stores.migrations`."""
