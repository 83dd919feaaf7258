"""pty-chi and torch: the only rooms that import them."""
