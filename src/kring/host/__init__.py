"""The machine: clock, random, files, processes. The one layer in which faults are injected.

Nothing else in Kring asks the operating system for the time, for chance or for durable bytes.
"""
