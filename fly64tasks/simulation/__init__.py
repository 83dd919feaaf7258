"""From a base to sets: the diffraction of each dose, and its thinning to views."""
