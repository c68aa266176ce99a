"""What looks for better params: one file per library, all with the function of `ports.tuner`.

Reads ranges and the worth of settings, adds the next setting to try. It refuses nothing: ranges are
checked before a search begins.
"""
