"""The operator at work over history: feeds, windows, rollouts, retraining, and the report of it.

Reads a feed with a time, adds decisions, outcomes, events and reports in a home of its own, refuses systems
without a time.
"""
