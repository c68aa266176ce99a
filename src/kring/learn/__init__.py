"""From outcomes to the next experiment: when to train again.

Reads alarms and the clock, adds triggers, refuses to train more often than was declared.
"""
