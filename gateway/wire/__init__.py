"""How bytes and JSON look on both sides; no meaning."""
