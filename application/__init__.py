"""What to do: the ports, the one command executor, the use cases, and the reactors."""
