"""Answers into actions: arrays and money. Knows no networks and no HTTP."""
