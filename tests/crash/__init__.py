"""The crash suite: the real service is killed at every crash point and at random; what it promised must hold.

Generator and ledger are processes of their own, so that killing the service never kills evidence. See docs/crash.md.
"""
