"""How people reach it: HTTP, real time, and the command line."""
