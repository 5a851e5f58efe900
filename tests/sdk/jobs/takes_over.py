"""Another program than the one that runs the run: `takes_over.py start|resume STORE RUN` goes on with it."""

import sys

from scenes import scenes

from resumable import Client, ResumableError

if __name__ == "__main__":
    how, store, run = sys.argv[1:]
    with Client(store) as client:
        try:
            handle = client.start(scenes, id=run) if how == "start" else client.resume(scenes, run)
        except ResumableError as error:
            sys.exit(f"{type(error).__name__}: {error}")
        print(handle.result(timeout=60))
