"""The verifier inside frameworks: one small module for each."""
