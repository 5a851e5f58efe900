"""The same as `loop`, started by hand: the process makes its run, counts the end of the one before, and mints."""

from tests.crash.jobs.loop import loop
from tests.crash.subject import Subject

SUBJECT = Subject(loop, {"products": ["desk", "lamp"]}, by_hand=True)
