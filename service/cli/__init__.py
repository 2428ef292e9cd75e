"""The command line: parses words, calls use cases, prints. No decision of its own."""
