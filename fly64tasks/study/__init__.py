"""What is asked: the study file, its stages' settings, its cases, and where everything lies.

Nothing here imports numpy: `doit list` and `doit -n` read all of it.
"""
