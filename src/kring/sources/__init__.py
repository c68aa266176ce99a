"""Where feeds come from: one file per kind of place, each with `scan` and `digest`.

Reads files as they are, adds nothing, and refuses what is not a table: the error says which file, which
line and what to do. What the values mean is the contract's business.
"""
