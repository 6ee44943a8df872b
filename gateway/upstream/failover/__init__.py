"""After a failure: again, elsewhere, or give up; and what is set aside meanwhile.

Belongs here: the policy of attempts, the health of targets, session affinity, learnt options. No IO.
Does not belong here: the attempts themselves (`gateway.relay`).
"""
