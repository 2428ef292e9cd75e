"""Reads Postman collections v1, v2.0 and v2.1 with their environments.

`v1` and `v2` turn a collection into calls (`calls`), one for each request; `grouping` makes one operation of
all calls with the same method and path, and keeps every call as a named preset. Scripts are never run.
"""
