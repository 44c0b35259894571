"""The promise under faults: a whole cell on a simulated clock, driven by random worlds and random faults, and judged.

``python -m faults`` (``make soak``) runs rounds until it is stopped; ``docs/soak.md`` lists the promises and the faults.
Not packaged.
"""
