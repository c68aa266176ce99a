"""Release: from evidence to a signed version, and from a version to traffic.

Reads evidence, gate, manifest and the bytes of what decides. Adds a verdict, a signed folder
whose id is its content, and the transitions of a rollout. Refuses pickles and everything else
that is not data, folders that differ from their signature in one byte, and transitions outside
the table.
"""
