"""The commands that read JSON lines and answer each: one module a command."""
