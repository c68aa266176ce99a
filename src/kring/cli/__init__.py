"""The command line: one file per command, each with a click command called `command`.

Parses what was typed, calls `flow`, and renders what came back, for people or with `--json` for
programs. Refuses what it does not know, naming the nearest it does. Decides nothing.
"""
