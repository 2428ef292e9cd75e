"""The configuration: from files to closed models, with a place for everything that is wrong.

Text is read here and nowhere else. What needs a compiled pattern, an expression or a connector is found
later, in `service.plan`, and placed by the marks kept here.
"""
