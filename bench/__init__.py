"""Budgets as ratios measured in one run: `make bench`. Timing is never a test; it lives here."""
