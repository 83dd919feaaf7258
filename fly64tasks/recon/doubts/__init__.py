"""What is to be doubted of a set and of a result: checks in units of probe and noise.

What no reconstruction can come of is refused; of the rest each doubt is one line that names what
was found and what to do. The limits are such that the sets of the default study, of every dose and
view, and measured ones that reconstruct well raise none (docs/doubts.md).
"""
