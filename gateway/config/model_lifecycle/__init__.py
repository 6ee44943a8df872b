"""Which models their makers have announced the end of, and who succeeds them.

The dates stand in `ends.json`, read from the makers' own packages by `manage.py refreshmodels`.
What a model costs and how much it takes is the catalogue's (`snapshot/catalogue.py`).
"""
