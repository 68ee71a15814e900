"""Loopback stand-ins of the services MediaNest talks to: real protocols, real HTTP, no accounts.

The tests, the demo and ``--stand-ins`` use the same ones. Each can be told to fail in every way its
original does; see ``faults``.
"""
