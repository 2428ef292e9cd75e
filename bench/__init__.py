"""Benchmarks: they measure and print, they never fail a build by time."""
