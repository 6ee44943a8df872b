"""What reaches a provider's prompt cache: recorded and made-up agent sessions, replayed through the gateway's
conversion to a judge that keeps each family's published rules (`tests/fakes/prompt_caches`), beside what an
ideal client would read that asks the provider directly. `make bench-cache` (docs/caching.md)."""
