"""From a set to a reconstruction; `command.run` has the order of its steps."""
