-- End the run, or this attempt's part of it. ARGV[2] is its result.

local refusal = refused(function() return redis.call('HGET', run_key, 'end_write_id') end)
if refusal then return refusal end
if request.signal_seq and request.signal_seq ~= signal_seq then return {'SignalsChanged', signal_seq} end

local time = now()
local waits, terminal = request.status == 'Waiting', is_terminal(request.status)
local wake_at = request.wake_after_ms and time + request.wake_after_ms or request.wake_at
change_run(time, {
  status = request.status, reason = request.reason or false, message = request.message or false,
  error = request.error or false, result = ARGV[2] ~= NOTHING and ARGV[2], end_write_id = request.write_id,
  wake_at = waits and wake_at or false, wake_on = waits and request.wake_on and cmsgpack.pack(request.wake_on) or false,
  finished = terminal and time,
  expires = terminal and request.expires_after_ms and time + request.expires_after_ms or false
})
local attempt = read_attempt(request.attempt)
attempt.written_end = request.status
write_attempt(attempt)
if request.status == 'Succeeded' then
  -- Results that were kept until now have expired: after a restart their steps run again.
  for _, id in ipairs(redis.call('ZRANGE', fading_key, 0, -1)) do
    local step = read(steps_key, id)
    if step and step.until_done then
      step.expires = time
      redis.call('HSET', steps_key, id, packed(step))
      redis.call('ZREM', fading_key, id)
    end
  end
end
add_event(time, request.status, request.attempt, request.reason)
return answer('Stored')
