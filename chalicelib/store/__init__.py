"""The cell's tables and queues: concrete, over low-level clients of one region that are passed in."""
