"""What kind of question a system answers: one file per kind, each with one `TASK` that fulfils the port.

Reads columns and arrays, adds labels, decisions, measures and counts, refuses a target that the kind of
question can't have. Nothing else in the house knows which kinds there are.
"""
