module resumable.dev/tests/cluster/images/pause

go 1.26
