"""What the stages need from the world, as Protocols; the docstring of a method is its contract.

A port has seven methods at most, an adapter for each service that can fulfil it, and a
conformance suite in `kring.testing` that every adapter passes on the real service.
"""
