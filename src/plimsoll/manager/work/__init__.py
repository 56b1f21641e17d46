"""What the manager carries through by itself, step by step, over restarts."""
