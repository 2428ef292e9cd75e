"""What the command line and the API both do, once.

No argument parsing, no HTTP: JSON-able values in and out.
"""
