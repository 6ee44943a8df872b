"""What goes wrong, and who is told.

Belongs here: failures as problems, what needs attention now, telling it outside by webhook and mail, and the
look at ramps: steps that are due and guards that trip.
Does not belong here: numbers and rows of the history (`gateway.history`), pages (`gateway.admin`).
"""
