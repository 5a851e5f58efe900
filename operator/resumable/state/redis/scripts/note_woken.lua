-- Put a run on the list of those that may have been woken.

redis.call('ZADD', KEYS[1], now(), request.id)
