"""The SDK's own log lines, on stderr, unless the author has set up logging."""

import logging
import time

_FORMAT = "%(asctime)sZ %(levelname)-7s %(message)s"


def log_to_stderr() -> None:
    """Show the SDK's log. A handler on the root logger, or on ours, means that somebody else decides."""
    logger = logging.getLogger("resumable")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    if logger.hasHandlers():
        return
    formatter = logging.Formatter(_FORMAT, datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    logger.propagate = False
