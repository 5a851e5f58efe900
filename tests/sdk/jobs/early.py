"""What PID 1 of a container does before `main()`."""

import os
import time

os.getpid = lambda: 1
import resumable  # noqa: E402, F401

print("imported", flush=True)
time.sleep(60)
