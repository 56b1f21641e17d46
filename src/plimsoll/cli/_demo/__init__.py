"""The demonstration: a small fleet of real processes, and the story that is played with it."""
