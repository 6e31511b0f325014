"""Tuning a generator: candidates, preference pairs, losses, training in torch, and export to what serves it.

Its modules are imported one by one, because half of them need torch and the others are read without it.
"""
