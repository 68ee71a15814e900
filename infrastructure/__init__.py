"""How it touches the world; main.py puts the parts together."""
