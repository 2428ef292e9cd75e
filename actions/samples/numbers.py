"""Makes one number for bounds and steps. Pure and exact: floats are taken as they are written."""

import math
from collections.abc import Iterator
from fractions import Fraction

from actions.samples.fitting import bounds, number
from actions.samples.parts import Cut, Parts


def make_number(parts: Parts, variant: int, *, whole: bool) -> int | float:
    """Return a number within all bounds, 1 where that is one. Raise Cut where there is none."""
    low: Fraction | None = None
    high: Fraction | None = None
    above = below = False
    steps = [step for part in parts if (step := number(part.get("multipleOf")))]
    for part in parts:
        lowest, over, highest, under = bounds(part)
        if lowest is not None and (low is None or lowest > low or (lowest == low and over)):
            low, above = lowest, over
        if highest is not None and (high is None or highest < high or (highest == high and under)):
            high, below = highest, under

    def inside(value: Fraction) -> bool:
        under = low is not None and (value < low or (above and value == low))
        over = high is not None and (value > high or (below and value == high))
        return not under and not over

    for value in _candidates(low, high, _grid(steps, whole=whole), variant):
        if inside(value):
            return int(value) if value.denominator == 1 else float(value)
    raise Cut


def _grid(steps: list[Fraction], *, whole: bool) -> Fraction:
    """Return what the number has to be a multiple of; 0 for any."""
    if whole:
        steps = [*steps, Fraction(1)]
    if not steps:
        return Fraction(0)
    return Fraction(
        math.lcm(*(one.numerator for one in steps)), math.gcd(*(one.denominator for one in steps))
    )


def _candidates(
    low: Fraction | None, high: Fraction | None, grid: Fraction, variant: int
) -> Iterator[Fraction]:
    if grid:
        base = Fraction(1) if low is None or low <= 1 else low
        for start in (base, low, high):
            if start is not None:
                first = math.ceil(start / grid)
                yield from ((first + variant + turn) * grid for turn in (0, 1, -1, -2))
                yield from ((first - variant - turn) * grid for turn in (0, 1))
        return
    yield Fraction(1) + variant
    middle = None if low is None or high is None else low + (high - low) * Fraction(variant + 1, variant + 3)
    for start in (low, high, middle):
        if start is not None:
            yield from (start + variant, start - variant, start + Fraction(1, 2), start - Fraction(1, 2))
