"""Static files under names with a digest, which browsers keep for ever; compressed once."""

from __future__ import annotations

from servestatic.storage import CompressedManifestStaticFilesStorage


class CollectedFiles(CompressedManifestStaticFilesStorage):
    """Django's names with a digest, where `collectstatic` made them; else the plain name.

    A server that never collected them (`daphne ccproxy_site.asgi:application` in a clone, tests) serves files
    straight from the packages, under their plain names.
    """

    def stored_name(self, name: str) -> str:
        found: str = self.hashed_files.get(self.hash_key(self.clean_name(name)), name)
        return found
