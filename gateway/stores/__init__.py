"""What is kept: database, vault of sealed parts, keyring, signing keys, rule packs, detector tables."""
