-- All signals, consumed or not.

return document(redis.call('HVALS', signals_key))
