"""A home of one's own on one machine: its pinned parts, their configuration, containers, units and backups."""
