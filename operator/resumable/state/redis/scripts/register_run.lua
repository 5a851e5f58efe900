-- Put a run on the list of runs: KEYS[1] is the list of all, KEYS[2] that of its namespace. What is there stays.

redis.call('ZADD', KEYS[1], 'NX', now(), request.id)
redis.call('ZADD', KEYS[2], 'NX', now(), request.id)
