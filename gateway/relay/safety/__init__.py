"""Auto mode's safety check: an answer's calls judged by rules, and by a model where rules leave them open.

Belongs here: which verdicts an answer carries, and asking the model. The rules and the words of the question
are in `gateway.safeguards`; what the client calls them in `gateway.client_protocol`.
"""
