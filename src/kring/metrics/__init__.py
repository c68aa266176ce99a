"""Pure formulas: scores, intervals, distances, assignment, ids. Arrays in, numbers out.

Reads nothing and keeps nothing; every function names the source of its formula.
"""
