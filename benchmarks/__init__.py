"""What a cell costs, each figure beside its budget and its floor: ``python -m benchmarks``."""
