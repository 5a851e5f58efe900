"""Crash points: a job as a real process meets each fault at each of its store's calls. See docs/crash-points.md."""
