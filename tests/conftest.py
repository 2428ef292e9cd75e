"""What holds for all tests."""

import asyncio

# pytest-asyncio asks for the current loop around synchronous tests, and before Python 3.14 asking makes one that
# nobody closes: a warning, and so an error, at the end of the run. Saying that there is none makes it not ask.
asyncio.set_event_loop(None)
