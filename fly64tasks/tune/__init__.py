"""Better settings, searched: which are tried, on what, and how each is scored."""
