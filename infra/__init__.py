"""Where a cell comes from: its resources, its package, its rehearsal and its deployment."""
