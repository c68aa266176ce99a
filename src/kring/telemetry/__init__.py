"""Tells others what was done, when, and for how long, while it goes on.

Reads spans from whoever works. Adds no wait and no failure to their work: what can't be told is counted and dropped.
Refuses to tell inputs, answers, keys and persons.
"""
