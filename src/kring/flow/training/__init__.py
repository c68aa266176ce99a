"""snapshot → run → evidence: candidates made, fitted, searched, folded, proved, measured and scrutinised.

Reads a project and a snapshot, adds runs, chains and evidence to ledger and disk, refuses what does not export
faithfully.
"""
