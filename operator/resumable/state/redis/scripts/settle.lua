-- Change the status while no pod lives.

local run = read_run()
if not run or not is_as_expected(run) or not allowed(run.status, request.to) then return stale() end
local time = now()
add_event(time, request.to, run.attempt, request.reason)
change_run(time, {
  status = request.to, reason = request.reason or false, message = request.message or false, stop_requested = false,
  finished = is_terminal(request.to) and time
})
return changed()
