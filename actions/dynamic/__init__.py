"""Values, schemas and trees that an API gives itself for its own inputs and answers (`x-ms-dynamic-…`). Pure.

A description says of an input: "call that operation, with these arguments, and take the values from there".
This package finds what it says (`places`), makes the arguments of that call out of those given so far
(`calls`) and reads its answer. It calls nothing; who uses it sends the call through the connection like any
other.
"""

from actions.dynamic.calls import Choice, DynamicCall, NotAsDescribed
from actions.dynamic.finding import dynamic, dynamics
from actions.dynamic.trees import DynamicTree, Node

__all__ = ["Choice", "DynamicCall", "DynamicTree", "Node", "NotAsDescribed", "dynamic", "dynamics"]
