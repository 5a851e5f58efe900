-- Bind the attempt to the calling process, and read all that is to be resumed.

local run = read_run()
if not run then return {'Gone'} end
if run.attempt ~= request.attempt or run.nonce ~= request.nonce then return {'Fenced', run.attempt, run.nonce} end
local attempt = read_attempt(request.attempt)
if request.pod_uid and request.pod_uid ~= attempt.pod_uid then return {'NotBound'} end
if attempt.process_id and attempt.process_id ~= request.process_id then return {'AnotherProcess'} end
if attempt.ended then return {'Counted'} end
if not allowed(run.status, 'Running') then return {'Stopped', run.status} end
local record_version = tonumber(run.record_version or 1)
if record_version > request.record_version then return {'NewerRecord', record_version} end

local time = now()
if not attempt.process_id then
  attempt.process_id = request.process_id
  attempt.begun = time
  write_attempt(attempt)
  change_run(time, {
    status = 'Running', reason = false, message = false, code_version = request.code_version or false,
    previous_code_version = run.code_version or false, started = run.started or time,
    record_version = request.record_version
  })
  add_event(time, 'Begun', request.attempt)
end

local unfinished = redis.call('ZRANGE', open_key, 0, -1)
local signals = {}
for _, stored in ipairs(redis.call('HVALS', signals_key)) do
  if not unpacked(stored).consumed_by then signals[#signals + 1] = stored end
end
return {
  'Begun', redis.call('HGETALL', run_key), cmsgpack.pack(attempt), redis.call('HGETALL', progress_key),
  document(redis.call('HVALS', steps_key)), document(read_many(cursors_key, unfinished)), document(signals), time
}
