"""The same manifest and the same decisions, with processes in place of pods and SQLite in place of the state service.

`manifest` reads job.yaml, `processes` keeps a folder for each worker as a cluster keeps a pod, `shim` runs inside it,
`backend` carries decisions out.
"""
