"""A credential in, a `Principal` out."""
