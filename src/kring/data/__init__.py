"""The data of a system: check, profile, snapshot.

Reads feeds and contracts, adds reports, profiles and snapshots that never change. Refuses a feed
that breaks its contract: it becomes a report, never a snapshot.
"""
