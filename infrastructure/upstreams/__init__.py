"""Clients of the services that MediaNest speaks to over HTTP."""
