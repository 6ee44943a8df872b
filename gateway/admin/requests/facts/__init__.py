"""The filters of the history by what a request is: what it asks for, brings and lasted, and who sent it.

Belongs here: filters by the facts that rules can ask about (gateway/routing/facts.py).
Does not belong here: filters by where a request went and how it ended (gateway/admin/requests/filters.py).
"""
