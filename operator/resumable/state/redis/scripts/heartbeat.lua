-- Check the fence, and show what runs. What can't be shown (done meanwhile, or failed in this attempt) is left out.

local refusal = refused()
if refusal then return refusal end
local time = now()
for _, shown in ipairs(request.activity) do
  local id = field(shown.name, shown.key)
  local step, result = read(steps_key, id)
  local is_over = step and (
    step.status == 'Done' or step.attempt > request.attempt
    or (step.status == 'Failed' and step.attempt == request.attempt)
  )
  if not is_over then
    local is_same
    step, is_same = step_of_this_try(step, shown.name, shown.key)
    show_step(step, is_same, shown, time)
    if not is_same then step.sequence = -1 end
    write_step(id, step, result)
  end
end
return answer('Stored')
