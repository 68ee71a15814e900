"""HTTP: the edge, the routes and the one table of problems."""
