"""The first page: what is left to set up, and what a person without further rights has.

The numbers of the gateway (`gateway_dashboard`) come from `history.totals` and stay where they are drawn.
"""
