"""The pure core: rules, decisions, plans, entries. Never does I/O, reads a clock, draws a random number or logs."""
