"""Measurements of MediaNest beside its peers and the limits of the machine; see docs/benchmarks.md.

Each module declares one benchmark as rows: ours, a peer's, a limit. ``harness`` measures them in
turn, each sample in a fresh process on a fresh database, and ``report`` shows what came out.
"""
