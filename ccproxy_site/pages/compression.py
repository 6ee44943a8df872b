"""Middleware of the admin's pages: they go compressed.

Django's own, which pads each page by a random length, so that its size says nothing of a secret beside what
somebody else had put into it (BREACH). Files that are streamed go as they are, and the API has no middleware.
"""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware


class CompressedPages(GZipMiddleware):
    """GZipMiddleware for whole answers."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if response.streaming:
            return response
        whole: HttpResponseBase = super().process_response(request, response)
        return whole
