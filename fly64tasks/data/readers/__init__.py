"""Readers: one file format each; a new format is a module here that gives a `PtychoDataset`."""
