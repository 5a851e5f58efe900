-- Every try: those that later ones replaced, the steps that are there, and the attempts.

return {
  redis.call('LRANGE', tries_key, 0, -1), document(redis.call('HVALS', steps_key)), redis.call('HVALS', attempts_key)
}
