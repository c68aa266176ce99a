"""What people and programs are shown of systems and decisions: read from ledgers and logs, written nowhere.

Reads projects. Adds records that a page or an answer is made of. Refuses what is not there.
"""
