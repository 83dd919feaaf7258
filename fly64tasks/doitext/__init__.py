"""doit with a dry run, filters, a manifest and a state that survives being killed."""
