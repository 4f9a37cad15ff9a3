"""Mutations, a file for each group."""
