"""What is wrong around an instance, before and after its start: each thing that was looked at, and its fix.

Nothing is changed: whoever asks gets a list, and decides.
"""

from service.usecases.doctor.doctor import Doctor, Surroundings
from service.usecases.doctor.outside import Question
from service.usecases.doctor.rows import Row, page, sound

__all__ = ["Doctor", "Question", "Row", "Surroundings", "page", "sound"]
