"""Telling people what became of what they asked for.

A notification is a stream of its own (``inbox``), named by whom it is for and what it tells, so
that nobody is told a thing twice. What a person has chosen (``settings``) decides at that moment
whether it stands in their inbox and by which of their channels it goes out. Each of these ways is
a delivery (``deliveries``), which remembers its attempts.
"""
