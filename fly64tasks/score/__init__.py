"""From a reconstruction to its scores: against the truth where there is one, and its data."""
