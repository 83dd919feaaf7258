"""What is recorded of each task, in a file that survives a kill."""
