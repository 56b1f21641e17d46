"""The shapes of REST's answers, by subject: one declaration each."""
