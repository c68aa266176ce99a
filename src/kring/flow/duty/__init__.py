"""The operator on duty: a process that leads systems, follows their logs, judges, watches and has trainings done.

Reads ledgers, logs and `kring.toml`, adds what the operator decides, refuses to lead what another process leads.
"""
