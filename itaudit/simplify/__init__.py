"""Simpler responses: proposals by three engines, and the checks that keep them from inventing anything."""
