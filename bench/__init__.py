"""`python -m bench`: the figures of the design's budgets, each beside a peer in the same run."""
