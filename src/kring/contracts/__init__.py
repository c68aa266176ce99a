"""The one meaning of a contract and of its expression grammar.

Reads the text of a contract or an expression, adds its tree, its types and two compiled forms (polars
for tables, plain functions for rows) that agree on every row. Refuses everything outside the grammar:
nothing in a text is ever executed.
"""
