"""What runs the links of a version: one file per kind of link, and the chain that picks them.

Reads the bytes and expressions of links, adds outputs to prepared batches. It refuses bytes that
are not what they should be, and hands on no answer but a finite number in its range: else NaN.
"""
