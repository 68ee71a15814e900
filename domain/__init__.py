"""What may happen: commands, events, and the pure rules between them."""
