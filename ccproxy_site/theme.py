"""Addresses of our own static files, which the theme asks for when it builds a page."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static


def stylesheet(request: Any) -> str:
    return static("gateway/gateway.css")


def script(request: Any) -> str:
    return static("gateway/gateway.js")


def favicon(request: Any) -> str:
    return static("gateway/favicon.svg")


def palette(request: Any) -> dict[str, str]:
    """The accent colour in its shades (Tailwind's teal, readable on white and on black)."""
    return {
        "50": "oklch(98.4% .014 180.72)",
        "100": "oklch(95.3% .051 180.801)",
        "200": "oklch(91% .096 180.426)",
        "300": "oklch(85.5% .138 181.071)",
        "400": "oklch(77.7% .152 181.912)",
        "500": "oklch(70.4% .14 182.503)",
        "600": "oklch(51.1% .096 186.391)",
        "700": "oklch(43.7% .078 188.216)",
        "800": "oklch(38.6% .063 188.416)",
        "900": "oklch(32% .055 188.9)",
        "950": "oklch(27.7% .046 192.524)",
    }
