-- Change the status while no pod lives.

local run = read_run()
if not run or not is_as_expected(run) or not allowed(run.status, request.to) then return stale() end
local time = now()
add_event(time, request.to, run.attempt, request.reason)
change_run(time, merged(status_fields(request.to, time), {stop_requested = false}))
return changed()
