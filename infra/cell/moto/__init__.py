"""Fixes that make moto fast and exact enough to stand in for AWS in the local cell."""
