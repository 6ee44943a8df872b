"""What holds for people over all of their keys: budgets, and policies of their clients."""
