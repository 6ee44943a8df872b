"""Numbers: hourly totals, costs, sessions, and how token estimates relate to usage.

Belongs here: everything that is added up from rows, and reading it for the dashboard.
Does not belong here: limits of client keys (`gateway.limits`).
"""
