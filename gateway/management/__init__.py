"""Commands for operators, and what they share.

Belongs here: `manage.py` commands, dry runs of the conversion, made-up histories, the text of a first start.
Does not belong here: logic that a page or a request needs too.
"""
