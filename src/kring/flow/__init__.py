"""Joins the stages and wires the adapters: one file per journey, short functions, long-lived objects.

Reads an opened project, adds what the stages made of it to its home and its ledger. It decides
nothing itself: what is allowed is the stages' business, how it is stored the adapters'.
"""
