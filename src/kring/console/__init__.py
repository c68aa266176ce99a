"""Pages for people: server-rendered, read-only, the same records that the interface gives, as words and tables.

Reads what `flow` shows of systems and decisions. Adds HTML, and a JSON twin of each page. Refuses scripts: a page
works without them, and its policy forbids them.
"""
