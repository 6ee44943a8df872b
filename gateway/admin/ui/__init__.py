"""What all pages of the console share: base classes, formatting, pictures, navigation.

Belongs here: pieces without a record of their own. The theme is imported in `base` alone.
Does not belong here: anything that knows one kind of record.
"""
