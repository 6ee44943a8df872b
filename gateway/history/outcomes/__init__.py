"""How good a model is here: what became of each request, counted from stored facts alone.

Belongs here: what one request tells of itself and of the calls before it, to whom that is attributed, its
totals, and the figures with their intervals. `turn_facts`, `attribution`, `intervals` and `figures` know no
database. Does not belong here: judging an answer's content; money by owner or key
(`gateway.history.totals`).
"""
