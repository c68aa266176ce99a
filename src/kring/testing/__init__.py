"""Conformance suites: what every adapter of a port must do, public, on the real service.

Derive a class whose name begins with `Test` from a suite and give it `make`; pytest does the rest.
Reads nothing but the adapter it is given, adds nothing, refuses what breaks the port's contract.
"""
