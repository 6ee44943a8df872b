"""Checks of a client's request, in the wording of the Messages API.

Belongs here: what is refused with `invalid_request_error` before anything is converted, and the wording.
Does not belong here: what a provider refuses (`errors`), and limits of size (the HTTP layer).
"""
