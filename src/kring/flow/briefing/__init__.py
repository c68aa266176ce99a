"""From live back to whoever makes the next version: where it is worse, what drifts, who disagrees, and where to start.

Reads the log, the ledger and the newest snapshot. Adds a folder that is a system of its own. Refuses to write over one,
and to take what is sealed out of the log.
"""
