-- Remove a step and its cursor, so that it runs again. One that a later write of this attempt made anew stays.

local refusal = refused()
if refusal then return refusal end
local id = field(request.name, request.key)
local step = read(steps_key, id)
if step then
  if step.attempt > request.attempt or (step.attempt == request.attempt and step.sequence > request.sequence) then
    return answer('AlreadyStored')
  end
  forget(id, step)
end
return answer('Stored')
