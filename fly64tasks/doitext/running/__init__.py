"""Tasks as they run: what is recorded, said and stopped."""
