"""Pure judgement over a fleet: versions, capabilities, preflight, advice, pictures."""
