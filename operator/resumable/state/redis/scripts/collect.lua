-- Remove what was kept for a time that is over: the results of steps, whose records stay, or the whole run.
-- Says how many that were, and of a removed run the namespace.

local time = now()
local expires = tonumber(redis.call('HGET', run_key, 'expires'))
if expires and expires <= time then
  local namespace = redis.call('HGET', run_key, 'namespace')
  redis.call('UNLINK', unpack(all_keys))
  return {1, namespace}
end
local removed = 0
for _, id in ipairs(redis.call('ZRANGE', fading_key, '-inf', time, 'BYSCORE')) do
  local step, value = read(steps_key, id)
  if value and value ~= NOTHING then
    redis.call('HSET', steps_key, id, packed(step))
    removed = removed + 1
  end
  redis.call('ZREM', fading_key, id)
end
return {removed, false}
