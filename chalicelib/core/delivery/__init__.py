"""Rules of delivery: retries, the circuit breaker, signatures, pull links and rate limits.

May import the root of ``core``, nothing else of it.
"""
