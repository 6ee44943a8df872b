"""What a start brings in step: the environment's records, groups, the demo provider.

Belongs here: work that runs at each start, and what a start tells people to type.
Does not belong here: settings of the process (`gateway.conf`).
"""
