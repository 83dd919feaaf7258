"""The report on measured scans: fits, and halves held against each other."""
