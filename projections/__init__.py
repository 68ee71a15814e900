"""What people look at: read models, their tables and their queries."""
