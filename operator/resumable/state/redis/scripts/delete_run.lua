-- Remove the run and all that is its. Says which namespace it was in.

local namespace = redis.call('HGET', run_key, 'namespace')
redis.call('UNLINK', unpack(all_keys))
return namespace
