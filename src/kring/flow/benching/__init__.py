"""A load test of one's own system.

Reads the newest snapshot for rows to ask about, adds a server over a copy of the system (or takes one that runs),
refuses to load anything beyond this machine.
"""
