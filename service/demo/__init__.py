"""The first five minutes: a shop to call, a configuration to read, and a run that proves itself."""
