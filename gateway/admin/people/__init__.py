"""Settings of people across their keys: budgets, and policies for their clients."""
