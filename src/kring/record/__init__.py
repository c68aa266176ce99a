"""The frozen records of the design: one file each.

Reads nothing, adds nothing, refuses what is not valid. Records hold no behaviour beyond
validation, import nothing heavy, and change only by making a new one.
"""
