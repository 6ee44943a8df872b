"""Takes the pictures of the READMEs and docs."""

from __future__ import annotations

import asyncio
import importlib
import os

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    # the tests import records, which need Django to be ready
    asyncio.run(importlib.import_module("tests.browser.pictures.camera").take())
