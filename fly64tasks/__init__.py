"""Ptychography dose/overlap studies as a doit task graph, reconstructed with pty-chi."""

__version__ = "0.1.0"
