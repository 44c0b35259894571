"""SQS, DynamoDB, KMS and a clock that stand in for AWS, used by the soak, the end-to-end tests and the benchmarks.

A stand-in belongs here if two of them need it. It may import ``infra`` and the product, and never its users.
"""
