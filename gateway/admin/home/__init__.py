"""The first page: what is left to set up, and what a person without further rights has.

Does not belong here: the dashboard's numbers (`history.totals`, drawn by `templatetags.gateway_dashboard`).
"""
