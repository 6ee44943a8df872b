"""Models in the console: targets beside each other, by what became of their requests, with files to take
away.
"""
