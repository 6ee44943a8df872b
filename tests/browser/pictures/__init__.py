"""The pictures of the READMEs and docs, from the pages as they are now.

`python -m tests.browser.pictures` takes them in Chromium: a gateway with made-up requests of 30 days and one
session of a coding agent with two subagents. Look at each one before you commit it.
"""
