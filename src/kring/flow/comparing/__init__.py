"""Evidence side by side, for terminals and as a page.

Reads the newest training, adds nothing but a page, refuses nothing.
"""
