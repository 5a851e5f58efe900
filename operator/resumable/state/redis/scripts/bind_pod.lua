-- Say which pod is the attempt's.

local run = read_run()
if not run or run.attempt ~= request.attempt or run.nonce ~= request.nonce then return stale() end
local attempt = read_attempt(request.attempt)
if attempt.pod_uid and attempt.pod_uid ~= request.pod_uid then return stale() end
attempt.pod_name = request.pod_name
attempt.pod_uid = request.pod_uid
attempt.node = request.node or attempt.node
write_attempt(attempt)
return changed()
