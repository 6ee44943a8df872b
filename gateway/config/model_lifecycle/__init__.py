"""What is published about the models of OpenAI and Anthropic: size, prices by service tier, end, successor.

It stands in `models.json`, which `manage.py refreshmodels` writes from installed packages. The gateway reads
the ends from there. It takes windows and prices from the package itself (`snapshot/catalogue.py`), which also
knows when a price changed; the file shows in a diff what a new release of the package changes.
"""
