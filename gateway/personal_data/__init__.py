"""What is kept of one person: given out as a file, and erased with their name.

Belongs here: where such data lies (places), and what becomes of it when somebody asks for it.
Does not belong here: removal by age (`gateway.history.retention`), who may look (`gateway.history.access`).
"""
