-- What a fork takes over: the run's hash, and its finished steps up to one of them, as no attempt's.

local run = redis.call('HGETALL', run_key)
if #run == 0 then return {'NoSuchRun'} end
local steps = all_steps()
local last = request.up_to and ordinal_of(steps, request.up_to, true)
if request.up_to and not last then return no_such_step(steps) end
local taken = {}
local is_undone = undone(steps)
for _, step in ipairs(steps) do
  if step.record.status == 'Done' and not is_undone[step.id] and (not last or (step.record.ordinal or 0) <= last) then
    step.record.attempt = 0
    step.record.sequence = 0
    taken[#taken + 1] = packed(step.record, step.value)
  end
end
return {'History', run, taken}
