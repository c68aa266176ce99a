"""From a request to an answer on the record: route, answer, fall back.

Reads batches of raw fields and opened versions, adds outputs and decisions, refuses nothing
that a fallback can still answer. It never asks the ledger (law 2).
"""
