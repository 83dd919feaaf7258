"""Sets and results as files: what they may hold, whose they are, how they are read and written."""
