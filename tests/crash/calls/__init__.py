"""The part of the crash suite for calls of several requests, for logins, and for files that are edited."""
