"""A study as an RO-Crate: what is in it, and how that is said."""
