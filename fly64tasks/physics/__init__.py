"""The physics of a scan: arrays in, arrays out; nothing here opens a file."""
