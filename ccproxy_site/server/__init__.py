"""How Daphne serves the project, with each part at an extension point of Daphne, Twisted or Django."""
