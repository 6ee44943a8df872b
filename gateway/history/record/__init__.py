"""Writing: the end of an exchange becomes durable, once, whatever fails meanwhile.

Belongs here: the recorder and its spool, rows, the follow-up after a commit, processes that died.
Does not belong here: how texts are stored (`content`), and what is counted (`totals`).
"""
