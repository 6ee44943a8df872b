"""The cache doctor: why a request was not read from the provider's prompt cache, and what that cost.

`differences` finds the first item in which two requests differ, `diagnosis` who changed it; both are
pure. `stored` reads what they need from the history, when somebody asks: nothing of it runs beside
requests.
"""
