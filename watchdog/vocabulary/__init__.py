"""Words that every package shares. Standard library only."""
