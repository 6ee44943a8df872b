"""Records of what happened: requests, attempts, texts, totals.

Belongs here: rows that the recorder and the follow-up write.
Does not belong here: who may read them and how long they stay (`gateway.models.compliance`).
"""
