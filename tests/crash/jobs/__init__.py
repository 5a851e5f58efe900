"""One job a module; `SUBJECT` says how it is run."""
