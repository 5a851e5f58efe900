-- Give the store its UUID, unless it has one, and tell it.

if redis.call('HSETNX', KEYS[1], 'uuid', request.uuid) == 1 then
  redis.call('HSET', KEYS[1], 'schema_version', request.schema_version, 'created', now())
end
return {redis.call('HGETALL', KEYS[1]), now()}
