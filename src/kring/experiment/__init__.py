"""Candidates against each other: split, leaks, parity, evidence.

Reads prepared data with its truth, adds runs and evidence. It refuses a split that can't be
learned from, a column that gives the answer away, and an export that answers otherwise.
"""
