-- Make a run that has another's history, or find the one that is there. ARGV[2] is its input, ARGV[3] its payload; what
-- follows are its finished steps.

if redis.call('EXISTS', run_key) == 0 then
  local time = now()
  for i = 4, #ARGV do
    local step = unpacked(ARGV[i])
    local id = field(step.name, step.key)
    redis.call('HSET', steps_key, id, ARGV[i])
    redis.call('ZADD', done_key, step.ordinal or 0, id)
    if step.expires or step.until_done then redis.call('ZADD', fading_key, step.expires or '+inf', id) end
  end
  redis.call(
    'HSET', run_key, 'id', request.id, 'namespace', request.namespace, 'name', request.name, 'status', 'Pending',
    'attempt', 0, 'generation', 1, 'version', 1, 'created', time, 'updated', time, 'forked_from', request.source,
    'record_version', request.record_version
  )
  if ARGV[2] ~= NOTHING then redis.call('HSET', run_key, 'input', ARGV[2]) end
  if ARGV[3] ~= NOTHING then redis.call('HSET', run_key, 'payload', ARGV[3]) end
  add_event(time, 'Created', 0, 'forked from ' .. request.source)
end
return redis.call('HGETALL', run_key)
