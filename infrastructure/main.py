"""The composition root: puts the parts together, once for production and for tests."""
