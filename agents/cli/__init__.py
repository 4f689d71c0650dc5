"""The command line: one module for each noun. Nothing here does the work; it asks, waits and shows.

Modules import at their top only what is quick to import, so that help and completion come at once.
"""
