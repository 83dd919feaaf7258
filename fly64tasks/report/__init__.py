"""The report on a study: read what its jobs left, draw, write one page and its files."""
