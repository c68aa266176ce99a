"""The frame: why a system exists, as its people wrote it down in `kring.toml`.

Reads one file, adds the record System and a JSON Schema for editors, and refuses every key, type
and value that it does not know: all faults at once, each with line, key and the nearest right word.
"""
