"""The state service: a `Store` over HTTP/JSON, and what gives tenants isolation.

A worker proves who it is with its projected ServiceAccount token and can touch only its own run. `authentication` says
who calls, `authorization` what they may do (pure), `worker_api` and `controller_api` serve the store's calls, `server`
runs it all.
"""
