"""Faults and attacks on running parts: real Kafka, real processes, real kills."""
