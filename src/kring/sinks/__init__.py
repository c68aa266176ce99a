"""Where answers go: one file per format, each with `SINK`, which fulfils `kring.ports.sink.Sink`.

Reads rows in order, a part at a time, and writes one table. Adds only what keeps a text from being run as a
formula. Refuses columns and numbers of rows that its format can't hold, before anything is written.
"""
