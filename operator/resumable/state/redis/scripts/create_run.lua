-- Make the record, or find the one that is there. ARGV[2] is the input.

if redis.call('EXISTS', run_key) == 0 then
  local time = now()
  redis.call(
    'HSET', run_key, 'id', request.id, 'namespace', request.namespace, 'name', request.name, 'status', 'Pending',
    'attempt', 0, 'generation', 1, 'version', 1, 'created', time, 'updated', time
  )
  if ARGV[2] ~= NOTHING then redis.call('HSET', run_key, 'input', ARGV[2]) end
  add_event(time, 'Created', 0)
end
return redis.call('HGETALL', run_key)
