"""The ResumableJob as Python sees it: its spec, its status, its names. No I/O, no decisions."""
