"""A cheap upstream, a load generator that verifies, targets, and the runner (docs/performance.md)."""
