-- Store a step's result (ARGV[2]) or its failure; with it, if they are sent, the payload (ARGV[3]) and the signal that
-- a wait takes. A fresh step is three writes, flushed once.

local id = field(request.name, request.key)
local step
local refusal = refused(function()
  step = read(steps_key, id)
  return step and step.write_id
end) or refused_by_step(step)
if refusal then return refusal end

local signal, signal_payload
if request.consumes then
  signal, signal_payload = read(signals_key, request.consumes)
  if not signal or signal.consumed_by then return {'SignalsChanged', signal_seq} end
end
if request.signal_seq and request.signal_seq ~= signal_seq then return {'SignalsChanged', signal_seq} end

local time = now()
local known = step ~= nil
step = step_of_this_try(step, request.name, request.key)
step.ordinal = request.ordinal
step.status = request.error and 'Failed' or 'Done'
step.attempt = request.attempt
step.sequence = request.sequence
step.write_id = request.write_id
step.error = request.error
step.started = time - (request.duration_ms or 0)
step.finished = time
local failed, done = request.error ~= nil, request.error == nil
step.failures = failed and (step.failures or 0) + 1 or step.failures
step.final = failed and request.final or nil
step.retry_at = failed and request.retry_after_ms and time + request.retry_after_ms or nil
step.expires = done and request.expires_after_ms and time + request.expires_after_ms or nil
step.until_done = done and request.until_done or nil
write_step(id, step, ARGV[2])

if done then
  if known then redis.call('ZREM', open_key, id) end
  local so_far = redis.call('HGET', progress_key, 'done') or 0
  redis.call('HSET', progress_key, 'done', so_far + 1, 'saved', time)
  if step.expires or step.until_done then redis.call('ZADD', fading_key, step.expires or '+inf', id) end
end
if signal then
  signal.consumed_by = request.label
  redis.call('HSET', signals_key, request.consumes, packed(signal, signal_payload))
end
save_payload(time, ARGV[3])
return answer('Stored')
