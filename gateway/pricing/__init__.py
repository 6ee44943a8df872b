"""What a provider charges for tokens; frozen values and arithmetic only.

Belongs here: prices, their tiers, and the book that says which one applies.
Does not belong here: loading prices (`gateway.config`), and costs in the history (`gateway.history.totals`).
"""
