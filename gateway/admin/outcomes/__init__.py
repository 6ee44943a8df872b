"""Models in the console: targets compared by the outcomes of their requests, and the figures as files."""
