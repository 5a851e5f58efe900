"""The record in Redis or Valkey (7.0 or newer), one server or a Cluster, by redis-py.

Each write is one Lua script (`scripts/`): Redis runs it alone and writes it to its append-only file whole, so that no
lock is needed. `connection` runs scripts and names what goes wrong, `grade` says how durable the server is. `worker`
holds a worker's calls, `changes` the controller's, `signals` those for signals, `views` the readers', `register` the
list of runs; `rows` makes the record's structs of what is stored; `store` puts them together.
"""
