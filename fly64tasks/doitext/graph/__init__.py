"""What can be asked of a task graph: nothing here runs a task."""
