"""``doit run``, ``list``, ``manifest`` and ``verify``."""
