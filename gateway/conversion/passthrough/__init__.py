"""Providers that speak the Messages API themselves: everything passes (specification section 8.2)."""
