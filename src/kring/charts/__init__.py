"""One theme and one function per chart.

Reads records and points, adds a Vega-Lite spec for each chart and a self-contained page around
them, refuses to reach the network or to run a script. The same records give the same bytes.
"""
