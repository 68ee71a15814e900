"""How secrets are made, kept and recognised.

``MEDIANEST_SECRET_KEY`` is the root: each module takes keys of its own from it. Some keys are
random and kept in PostgreSQL, wrapped by such a key: they can be replaced or destroyed one by one.
"""
