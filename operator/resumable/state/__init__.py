"""The run's record: what it holds, who may change it, and where it is kept.

The store is the truth: pod phases and exit codes are hints, only a run's record says that it is complete. `record` says
what a record holds, `transitions` who may change its status, `store` what every store can do; `sql`, `remote` are
stores.
"""
