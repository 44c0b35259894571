"""The use cases: what the doors, the queues, the clock and the API have the cell do."""
