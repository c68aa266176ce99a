"""Where passages are found again: one file per kind of index, each with `build_index` and `open_index`.

Reads passages and gives bytes; reads bytes that were verified and answers questions from them. It refuses bytes
that are anything but such an index, and executes nothing that lies in them.
"""
