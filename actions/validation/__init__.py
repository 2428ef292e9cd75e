"""Says everything that is wrong with a value, by the schema that the description gives for it.

The dialects of the formats are rewritten into one (`dialects`, `words`), compiled and asked (`validators`),
and the findings are put in words (`explaining`). Nothing is ever fetched; whoever asks decides what follows.
"""

from actions.validation.explaining import Problem
from actions.validation.validators import MAX_DEPTH, MAX_PROBLEMS, Strictness, Validator, Validators, fitting

__all__ = ["MAX_DEPTH", "MAX_PROBLEMS", "Problem", "Strictness", "Validator", "Validators", "fitting"]
