"""Looking at a live fleet from outside: where its points are, and what their ports really do."""
