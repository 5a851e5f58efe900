-- Replace the input (ARGV[2]), unless an attempt is under way.

local run = read_run()
if not run or not is_as_expected(run) or is_terminal(run.status) then return stale() end
if (run.status == 'Running' or run.status == 'Pending') and run.attempt > 0 then
  if not read_attempt(run.attempt).ended then return stale() end
end
change_run(now(), {input = ARGV[2] ~= NOTHING and ARGV[2]})
return changed()
