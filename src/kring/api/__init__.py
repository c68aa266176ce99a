"""The faces that programs speak to: one file per protocol. Each decodes a request, asks a line, and encodes the answer.

Nothing here decides, and nothing here opens a file: `flow` built what a request is answered with.
"""
