"""The costs of a cell, each figure beside its budget and its floor: ``python -m benchmarks``."""
