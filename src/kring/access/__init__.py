"""Who may do what: keys, tokens, roles, limits and hosts, as pure decisions over tables.

Reads what was shown at the door and the tables that others keep; adds the principal behind it. Refuses whoever is
not known, whatever no role allows, and more than was agreed. No clock, no disk, no network: time and chance are
arguments, and no message repeats a secret.
"""
