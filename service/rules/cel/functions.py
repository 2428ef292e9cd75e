"""What a function of the language is: a name and its overloads, found by the Python types of the arguments.

The checker reads the same table as the compiler, so a call that is refused while compiling and one that
fails while evaluating say the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from service.rules.cel.values import WORDS

Run = Callable[..., Any]
"""Takes the budget and then the arguments; raises Fault when there is no value."""

DYN: Final = object
"""In a signature: a value of any kind. Of an expression: a kind known only when it is evaluated."""

_SHOWN = 4  # signatures named in an error text


@dataclass(frozen=True, slots=True)
class Overload:
    """One signature: the kinds of the parameters, the kind of the result, and the code."""

    parameters: tuple[type, ...]
    result: type
    run: Run


@dataclass(frozen=True, slots=True)
class Function:
    """A function, or a method: then the first parameter is what it is called on.

    A variadic function has one overload for its smallest call; its code takes the arguments as a list.
    """

    name: str
    overloads: tuple[Overload, ...]
    method: bool = False
    variadic: bool = False
    table: Mapping[tuple[type, ...], Run] = field(init=False)
    dynamic: Mapping[int, Run] = field(init=False)
    """By number of arguments: the code that takes values of any kind."""

    def __post_init__(self) -> None:
        fixed = [overload for overload in self.overloads if DYN not in overload.parameters]
        free = [overload for overload in self.overloads if DYN in overload.parameters]
        object.__setattr__(self, "table", {overload.parameters: overload.run for overload in fixed})
        object.__setattr__(self, "dynamic", {len(overload.parameters): overload.run for overload in free})

    def takes(self, count: int) -> bool:
        """Say whether some overload has so many arguments."""
        return (self.variadic and count > 0) or any(len(one.parameters) == count for one in self.overloads)

    def fitting(self, kinds: Sequence[type]) -> list[Overload]:
        """Return the overloads that arguments of these kinds may reach; a DYN argument may be of any kind."""
        if self.variadic:
            return list(self.overloads)
        return [
            one
            for one in self.overloads
            if len(one.parameters) == len(kinds)
            and all(
                DYN in (wanted, given) or wanted is given
                for wanted, given in zip(one.parameters, kinds, strict=True)
            )
        ]

    def mismatch(self, kinds: Sequence[type]) -> str:
        """Return the error text for arguments of kinds that no overload takes."""
        known = [self.signature(overload.parameters) for overload in self.overloads]
        shown = " or ".join(known[:_SHOWN]) + (" or …" if len(known) > _SHOWN else "")
        return f"no such overload: {self.signature(kinds)}; there is {shown}"

    def signature(self, kinds: Sequence[type]) -> str:
        """Return a call with the words for its arguments' kinds."""
        words = ["any value" if kind is DYN else WORDS.get(kind, kind.__name__) for kind in kinds]
        if self.method:
            return f"{words[0] if words else ''}.{self.name}({', '.join(words[1:])})"
        return f"{self.name}({', '.join(words)})"
