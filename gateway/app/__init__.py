"""The composition root: builds the objects of one process, starts them and stops them in order.

Belongs here: what wires packages together, and the order of start and stop.
Does not belong here: anything that handles a request; the relay does that with what it is given.
"""
