-- Record how an attempt ended, once, and move the run on when that attempt is the current one.

local run = read_run()
local attempt = run and read_attempt(request.attempt)
if not attempt then return stale() end
if attempt.ended then return changed() end
local before, after = run.status, run.status
local is_current = run.attempt == request.attempt
if is_current and (before == 'Pending' or before == 'Running') and not attempt.written_end then
  after = request.to -- else the worker wrote how it ended, and that stands (or a signal has woken it since)
  if not allowed(before, after) then return {'Refused', before} end
end

local time = now()
if is_current then keep_progress(attempt) end -- an earlier one's was kept when the next was minted
attempt.ended = time
attempt.end_kind = request.kind
attempt.cause = request.cause
attempt.message = request.message
attempt.exit_code = request.exit_code
attempt.node = request.node or attempt.node
attempt.pod_name = request.pod_name or attempt.pod_name
attempt.pod_uid = request.pod_uid or attempt.pod_uid
write_attempt(attempt)
add_event(time, 'AttemptEnded', request.attempt, request.cause)
local changes = after ~= before and status_fields(after, time) or {}
if is_current then changes.stop_requested = false end
change_run(time, changes)
return changed()
