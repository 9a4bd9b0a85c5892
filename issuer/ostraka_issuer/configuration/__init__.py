"""Settings: where they come from, which one wins, and what is said of those that are wrong.

Arguments win over the environment, the environment over the file, the file over the defaults.
"""
