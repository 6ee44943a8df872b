"""Two answers to one request compared: the action that was taken, and the one that is proposed.

Belongs here: what a call is about and what it does, tool by tool (`tools.json`), and how sure a share is.
Pure: no Django, no IO, no clock. It takes time in proportion to the answers, whatever they contain.
"""
