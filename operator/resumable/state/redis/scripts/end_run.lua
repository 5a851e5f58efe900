-- End the run, or this attempt's part of it. ARGV[2] is its result.

local refusal = refused(function() return redis.call('HGET', run_key, 'end_write_id') end)
if refusal then return refusal end
if request.signal_seq and request.signal_seq ~= signal_seq then return {'SignalsChanged', signal_seq} end

local time = now()
local wake_at = request.wake_at or (request.wake_after_ms and time + request.wake_after_ms)
change_run(time, {
  status = request.status, reason = request.reason or false, message = request.message or false,
  error = request.error or false, result = ARGV[2] ~= NOTHING and ARGV[2], end_write_id = request.write_id,
  finished = is_terminal(request.status) and time, wake_at = wake_at or false,
  wake_on = request.wake_on and cmsgpack.pack(request.wake_on) or false,
  expires = request.expires_after_ms and is_terminal(request.status) and time + request.expires_after_ms or false
})
local attempt = read_attempt(request.attempt)
attempt.written_end = request.status
write_attempt(attempt)
if request.status == 'Succeeded' then
  -- Results that were kept until now. Those with a moment of their own stay until it has come.
  for _, id in ipairs(redis.call('ZRANGE', fading_key, 0, -1)) do
    local step = read(steps_key, id)
    if step and step.until_done then
      redis.call('HSET', steps_key, id, packed(step))
      redis.call('ZREM', fading_key, id)
    end
  end
end
add_event(time, request.status, request.attempt, request.reason)
return answer('Stored')
