"""The commands plimsoll and dsm_c: one file a subcommand, no logic of its own."""
