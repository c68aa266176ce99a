"""Where alarms go: webhooks, Alertmanager, mail.

Reads a message in words and records, adds its delivery to one target, refuses addresses that are not meant to be
reached, redirects, and answers without an end.
"""
