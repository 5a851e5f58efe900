-- Put a step's start on record before it runs. Its deadline is fixed by the first start. A wait or a sleep (without an
-- effect) goes on from attempt to attempt as one try; a step with an effect is a new one.

local id = field(request.name, request.key)
local step, result
local refusal = refused(function()
  step, result = read(steps_key, id)
  return step and step.write_id
end) or refused_by_step(step)
local time = now()

local function started(deadline)
  return {'Started', time, deadline or false, stop_requested, signal_seq}
end

if refusal then
  if refusal[1] == 'AlreadyStored' then return started(step.deadline) end
  return refusal
end
local goes_on
step, goes_on = step_of_this_try(step, request.name, request.key, not request.effect)
step.ordinal = request.ordinal
step.status = 'Started'
step.attempt = request.attempt
step.sequence = request.sequence
step.write_id = request.write_id
step.error = nil
step.final = nil
step.retry_at = nil
step.finished = nil
if not goes_on then step.started = time end
step.effect = request.effect
step.deadline = step.deadline or request.deadline or (request.deadline_after_ms and time + request.deadline_after_ms)
write_step(id, step, result)
return started(step.deadline)
