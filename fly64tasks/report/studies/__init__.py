"""Studies held against each other: which settings differ, and which scores."""
