"""A provider that keeps each family's published rules of prompt caching and bills by them.

`prompts` turns a request into what is cached: its rendered parts in order, with their marks. `rules` has one
cache for each family; each rule names where it is published. Time is an argument. Tokens are bytes divided by
four, so that shares can be compared and nothing has to be installed.
"""
