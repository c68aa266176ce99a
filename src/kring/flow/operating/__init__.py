"""The operator at work: it takes the lease, folds, commits state and outbox together, carries commands out.

Reads ledgers and decision logs, adds what was decided to the ledger, refuses to work beside another operator.
"""
