-- Raise the flag that tells the current attempt to save and leave.

local run = read_run()
if not run or run.attempt ~= request.attempt or is_terminal(run.status) then return stale() end
if run.stop_requested ~= request.reason then
  local time = now()
  add_event(time, 'StopRequested', request.attempt, request.reason)
  change_run(time, {stop_requested = request.reason})
end
return changed()
