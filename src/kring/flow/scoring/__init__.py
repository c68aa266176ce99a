"""file → decisions → file: every row of a batch decided by the live version.

Reads a file of rows, adds a durable record of each decision and the file of answers, refuses what can not be
decided before any work is done.
"""
