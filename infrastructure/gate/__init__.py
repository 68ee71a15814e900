"""The gate on Redis: exact rate limits and hot sessions, for many calls in one round trip.

``enter.lua`` and ``remember.lua`` are what happens in Redis, ``connection`` runs them,
``redis_gate`` gathers the calls, and ``sliding_logs`` counts in this process, for when Redis is
away.

All keys start with ``medianest:``. One server holds them all; they are not made for Redis Cluster::

    standing:<id>                what is remembered of a session or an account: JSON
    limit:<policy>:<subject>     when calls were counted, oldest first: a list of microseconds
    probe                        written to see whether Redis takes writes
"""

from infrastructure.gate.redis_gate import RedisGate

__all__ = ["RedisGate"]
