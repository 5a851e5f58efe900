-- Forget what is to run again and make the run Pending, in a new generation; only while no process of it can live.

local run = read_run()
if not run then return stale() end
if run.restart_id == request.restart_id then return changed() end -- done before
if not is_as_expected(run) or not allowed(run.status, 'Pending') then return stale() end
if run.attempt > 0 and not read_attempt(run.attempt).ended then return stale() end

local steps = all_steps()
local first = request.from_step and ordinal_of(steps, request.from_step)
if request.from_step and not first then return no_such_step(steps) end
local time = now()
local is_undone = undone(steps)
for _, step in ipairs(steps) do
  local is_meant = is_undone[step.id] or first and ((step.record.ordinal or 0) >= first or means(request.from_step, step.record))
  for _, reference in ipairs(request.forget) do is_meant = is_meant or means(reference, step.record) end
  if is_meant then forget(step.id, step.record) end
end
add_event(time, 'Restarted', run.attempt, request.restart_id)
change_run(time, merged(status_fields('Pending', time), {
  reason = 'Restarted', generation = run.generation + 1, restart_id = request.restart_id, stop_requested = false,
  cancel_requested = false, started = false, expires = false, error = false, result = false
}))
return changed()
