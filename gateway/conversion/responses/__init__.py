"""OpenAI's Responses API as an upstream (specification section 8.1)."""
