"""The text of clients' PDFs, read in separate processes that can be killed.

Belongs here: the worker, the pool of them, and what one request may spend on its files.
Does not belong here: how a PDF is read (`gateway.conversion.blocks.pdf`).
"""
