"""Failures, rehearsed on a copy of the system with a server of its own.

Reads the system and its newest snapshot; adds what came of the drill to the ledger. Refuses to touch the system itself:
its log, its data and whoever serves it know nothing of a drill.
"""
