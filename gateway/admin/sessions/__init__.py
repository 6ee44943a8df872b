"""Sessions in the console: the list, and one session as a tree of agents."""
