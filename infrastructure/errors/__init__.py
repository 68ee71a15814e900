"""Unexpected errors: described without secrets, counted, stored, and told to people.

``description`` says what an error was and in which place; ``scrubbing`` takes out what must not
leave; ``severity`` is the one rule of what is critical; ``recorder`` gathers and hands on; ``log``
keeps them in PostgreSQL; ``sentry`` sends the critical ones to Sentry.
"""
