"""How Daphne serves the project, each part at a supported seam of Daphne, Twisted or Django."""
