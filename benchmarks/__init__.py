"""Our speed, always beside something that was measured in the same run. `make bench`."""
