"""The monitors at work: what the log says of each window, and what that says about the live version.

Reads decisions and outcomes in batches, from a log that is followed or from a replay. Adds counts that merge in any
order and, for each window that closes, what was found. Refuses to judge what it has too few rows of.
"""
