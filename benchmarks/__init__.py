"""Measurements, always beside a floor in the same run: ratios and distributions, never a single number."""
