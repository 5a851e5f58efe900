-- Store how far a step got (ARGV[2]), and with it the payload (ARGV[3]) if it is sent.

local id = field(request.name, request.key)
local before, value
local refusal = refused(function()
  before, value = read(cursors_key, id)
  return before and before.write_id
end)
if refusal then return refusal end
local step, result = read(steps_key, id)
refusal = refused_by_step(step)
if refusal then return refusal end

local time = now()
local is_same
step, is_same = step_of_this_try(step, request.name, request.key)
show_step(step, is_same, request, time)
step.sequence = request.sequence
step.saved = time
write_step(id, step, result)

redis.call('HSET', cursors_key, id, packed({
  name = request.name, key = request.key, checkpoint = request.checkpoint, sequence = request.sequence,
  attempt = request.attempt, write_id = request.write_id, saved = time
}, ARGV[2]))
-- Saving the same again is no progress. A checkpoint's location is another one each time, so that it counts only when
-- there is no value to compare.
local same = before and (value == ARGV[2])
if before and value == NOTHING then same = before.checkpoint == request.checkpoint end
redis.call('HSET', progress_key, 'saved', time)
if not same then redis.call('HSET', progress_key, 'advanced', 1) end
save_payload(time, ARGV[3])
return answer('Stored')
