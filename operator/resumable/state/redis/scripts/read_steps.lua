-- All steps with their results.

return document(redis.call('HVALS', steps_key))
