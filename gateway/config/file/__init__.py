"""The configuration as one readable JSON file: written out, compared, taken in.

`document` is the whole file. Each section has a module that writes and takes in its entries, and a row in
`sections`. Belongs here: what admins keep. Does not belong here: what the environment keeps, and secrets.
"""
