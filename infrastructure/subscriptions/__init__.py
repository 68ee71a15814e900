"""How events reach those who follow them: the hub of a process, and its durable subscribers."""
