"""One exchange from arrival to end; reading starts at answer.py.

At this level: the order of steps, tries and attempts, admission, what follows the end.
The rooms: exchange (the notebook of one request), streaming (from the commit point on).
Does not belong here: Django, what bodies mean, and how things are stored.
"""
