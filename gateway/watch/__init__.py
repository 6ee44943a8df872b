"""What goes wrong, and who is told.

Belongs here: failures as problems, what needs attention now, and telling it outside by webhook and mail.
Does not belong here: numbers and rows of the history (`gateway.history`), pages (`gateway.admin`).
"""
