-- Put a run on the list of runs: KEYS[1] is the list of all, KEYS[2] that of its namespace. What is there stays.

for _, key in ipairs(KEYS) do redis.call('ZADD', key, 'NX', now(), request.id) end
