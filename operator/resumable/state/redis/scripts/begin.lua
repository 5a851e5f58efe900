-- Bind the attempt to the calling process, and read all that is to be resumed.

local run = read_run()
if not run then return {'Gone'} end
if run.attempt ~= request.attempt or run.nonce ~= request.nonce then return {'Fenced', run.attempt, run.nonce} end
local record_version = tonumber(run.record_version or 1)
if record_version > request.record_version then return {'NewerRecord', record_version} end
local attempt = read_attempt(request.attempt)
if request.pod_uid and request.pod_uid ~= attempt.pod_uid then return {'NotBound'} end
if attempt.process_id and attempt.process_id ~= request.process_id then return {'AnotherProcess'} end
if attempt.ended then return {'Counted'} end
if not allowed(run.status, 'Running') then return {'Stopped', run.status} end

local time = now()
if not attempt.process_id then
  attempt.process_id = request.process_id
  attempt.begun = time
  attempt.code_version = request.code_version
  write_attempt(attempt)
  change_run(time, merged(NOT_WAITING, {
    status = 'Running', reason = false, message = false, code_version = request.code_version or false,
    started = run.started or time, record_version = request.record_version,
    payload_sequence = 0 -- the attempt numbers its writes anew
  }))
  add_event(time, 'Begun', request.attempt)
end

-- The code of the newest earlier attempt that left something: one that was killed at once says nothing of the record.
local previous_code_version = ''
for number = request.attempt - 1, 1, -1 do
  local earlier = read_attempt(number)
  if earlier and (earlier.last_saved or earlier.written_end == 'Paused') then
    previous_code_version = earlier.code_version or ''
    break
  end
end

local unfinished = redis.call('ZRANGE', open_key, 0, -1)
return {
  'Begun', redis.call('HGETALL', run_key), cmsgpack.pack(attempt), redis.call('HGETALL', progress_key),
  document(redis.call('HVALS', steps_key)), document(read_many(cursors_key, unfinished)), unconsumed_signals(), time,
  previous_code_version
}
