"""Telling people outside of MediaNest: one module for each kind of address, one way out for all.

``outgoing`` is the only place that opens a connection to an address that a person has chosen.
"""
