-- Put before every script, so that all check, count and write in one way.
--
-- A run is KEYS[1] (a hash) and its siblings, which share its hash tag: on a Cluster all of a run is in one slot.
-- ARGV[1] is the request, a msgpack map in which what is absent is nil; what follows are the author's values, opaque.
-- A script is atomic, and is written to the append-only file whole or not at all. Redis does not undo one that fails
-- in the middle: whatever can be refused is refused before the first write.

local run_key = KEYS[1]
local attempts_key = run_key .. ':attempts' -- hash: number -> record
local progress_key = run_key .. ':progress' -- hash: what the current attempt achieved so far
local steps_key = run_key .. ':steps'       -- hash: name NUL key -> record and result
local open_key = run_key .. ':open'         -- sorted set by ordinal: the steps that are not done
local done_key = run_key .. ':done'         -- sorted set by ordinal: the steps that are
local tries_key = run_key .. ':tries'       -- list: tries that a later one replaced
local cursors_key = run_key .. ':cursors'   -- hash: name NUL key -> record and value
local signals_key = run_key .. ':signals'   -- hash: id -> record and payload
local fading_key = run_key .. ':fading'     -- sorted set by moment: steps whose results expire; +inf: with the run's success
local events_key = run_key .. ':events'     -- stream
local all_keys = {
  run_key, attempts_key, progress_key, steps_key, open_key, done_key, tries_key, cursors_key, signals_key, fading_key,
  events_key
}

local MOST_EVENTS = 1000
local LONGEST_EVENTS_MS = 7 * 24 * 3600 * 1000
local NOT_WAITING = {wake_at = false, wake_on = false}
local NOTHING = '\192' -- msgpack's nil, where a value of the author's could be

local request = cmsgpack.unpack(ARGV[1])

-- The store's clock, in milliseconds since 1970.
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function field(name, key)
  return name .. '\0' .. (key or '')
end

-- A record is stored as a msgpack array of three: the id of the write that made it, which is looked at most, a map, and
-- a value that only Python looks into.

local function packed(record, value)
  local write_id = record.write_id or ''
  record.write_id = nil
  return '\147' .. cmsgpack.pack(write_id, record) .. (value or NOTHING)
end

local function unpacked(stored)
  if not stored then return nil, nil end
  local offset, write_id, record = cmsgpack.unpack_limit(stored, 2, 1)
  if write_id ~= '' then record.write_id = write_id end
  return record, string.sub(stored, offset + 1)
end

local function is_written_by(stored, write_id)
  local _, id = cmsgpack.unpack_one(stored, 1)
  return id == write_id
end

local function read(key, id)
  return unpacked(redis.call('HGET', key, id))
end

-- Stored records as one msgpack array.
local function document(stored)
  local count = #stored
  local bytes = string.char(
    221, math.floor(count / 16777216) % 256, math.floor(count / 65536) % 256, math.floor(count / 256) % 256, count % 256
  )
  return bytes .. table.concat(stored)
end

-- HMGET of any number of fields; the absent are left out.
local function read_many(key, ids)
  local found = {}
  for first = 1, #ids, 1000 do
    for _, value in ipairs(redis.call('HMGET', key, unpack(ids, first, math.min(first + 999, #ids)))) do
      if value then found[#found + 1] = value end
    end
  end
  return found
end

-- The run.

local function read_run()
  local flat = redis.call('HGETALL', run_key)
  if #flat == 0 then return nil end
  local run = {}
  for i = 1, #flat, 2 do run[flat[i]] = flat[i + 1] end
  run.attempt = tonumber(run.attempt)
  run.version = tonumber(run.version)
  run.generation = tonumber(run.generation)
  run.signal_seq = tonumber(run.signal_seq or 0)
  return run
end

local function changed()
  return {'Changed', redis.call('HGETALL', run_key)}
end

local function stale()
  return {'Stale', redis.call('HGETALL', run_key)}
end

-- Set fields, remove those that are false; the run's version grows. A run that is not there is never made here: every
-- caller has read it.
local function change_run(time, changes)
  local set = {'updated', time}
  local removed = {}
  for name, value in pairs(changes) do
    if value == false or value == '' then
      removed[#removed + 1] = name
    else
      set[#set + 1] = name
      set[#set + 1] = value
    end
  end
  redis.call('HSET', run_key, unpack(set))
  redis.call('HINCRBY', run_key, 'version', 1)
  if #removed > 0 then redis.call('HDEL', run_key, unpack(removed)) end
end

local function is_terminal(status)
  return request.terminal[status] == true
end

-- Fields of several tables, for `change_run`.
local function merged(...)
  local all = {}
  for _, fields in ipairs({...}) do
    for name, value in pairs(fields) do all[name] = value end
  end
  return all
end

-- What a change of status by the controller sets.
local function status_fields(status, time)
  return merged(NOT_WAITING, {
    status = status, reason = request.reason or false, message = request.message or false,
    finished = is_terminal(status) and time
  })
end

local function is_as_expected(run)
  local expected = request.expected
  return run.attempt == expected.attempt and run.status == expected.status and run.version == expected.version
end

-- Whether `transitions.TABLE`, of which the request has the part in question, allows this.
local function allowed(before, after)
  for _, status in ipairs(request.transitions[before] or {}) do
    if status == after then return true end
  end
  return false
end

-- An event's number is at least the time, so that a run made anew after it was deleted does not repeat one.
local function add_event(time, kind, attempt, message)
  local newest = redis.call('XREVRANGE', events_key, '+', '-', 'COUNT', 1)[1]
  local sequence = time
  if newest then sequence = math.max(sequence, tonumber(string.match(newest[1], '^%d+')) + 1) end
  local event = {type = kind, attempt = attempt, at = time}
  if message and message ~= '' then event.message = message end
  redis.call('XADD', events_key, 'MAXLEN', '=', MOST_EVENTS, string.format('%.0f-0', sequence), 'e', cmsgpack.pack(event))
  redis.call('XTRIM', events_key, 'MINID', '=', string.format('%.0f', time - LONGEST_EVENTS_MS))
end

-- What a new payload changes of the run: nothing if a later write of this attempt has changed it.
local function payload_fields(payload)
  if tonumber(redis.call('HGET', run_key, 'payload_sequence') or 0) > request.sequence then return {} end
  return {payload = payload, payload_sequence = request.sequence}
end

-- Store the payload that came with a step, if one did.
local function save_payload(time, payload)
  local changes = payload and payload_fields(payload) or {}
  if next(changes) then change_run(time, changes) end
end

-- Attempts.

local function read_attempt(number)
  local stored = redis.call('HGET', attempts_key, number)
  return stored and cmsgpack.unpack(stored)
end

local function write_attempt(attempt)
  redis.call('HSET', attempts_key, attempt.number, cmsgpack.pack(attempt))
end

-- Write down in its record what the current attempt achieved; `progress` belongs to the next one then.
local function keep_progress(attempt)
  if attempt.steps_done then return end
  local progress = redis.call('HMGET', progress_key, 'done', 'saved', 'advanced')
  attempt.steps_done = tonumber(progress[1]) or 0
  attempt.last_saved = tonumber(progress[2])
  attempt.progressed = attempt.steps_done > 0 or progress[3] == '1'
end

-- The guard of a worker's call.

local stop_requested, signal_seq = '', 0

local function answer(name)
  return {name, stop_requested, signal_seq}
end

-- Whether the last write that was acknowledged to this worker is there, or a later one of its attempt in its place.
local function still_there()
  local after = request.after
  if not after then return true end
  local key = after.kind == 'cursor' and cursors_key or steps_key
  local stored = redis.call('HGET', key, field(after.name, after.key))
  if not stored then return false end
  if is_written_by(stored, after.write_id) then return true end
  local record = unpacked(stored)
  return record.attempt == request.attempt and record.sequence >= after.sequence
end

-- What stands against the call, as an answer; nil: nothing does. The fence comes before all else. `written` gives the
-- id of the last write of this kind; the same again did land, whatever happened since.
local function refused(written)
  local run = redis.call('HMGET', run_key, 'attempt', 'nonce', 'status', 'stop_requested', 'signal_seq')
  if not run[1] then return {'Gone'} end
  if tonumber(run[1]) ~= request.attempt or run[2] ~= request.nonce then
    return {'Fenced', tonumber(run[1]), run[2]}
  end
  stop_requested, signal_seq = run[4] or '', tonumber(run[5] or 0)
  if written and written() == request.write_id then return answer('AlreadyStored') end
  if run[3] ~= 'Running' then return {'Stopped', run[3]} end
  if not still_there() then return {'Rewound'} end
end

-- What the step's record says against a write to it: it is done, or a later write of this attempt overtook this one.
local function refused_by_step(step)
  if not step then return nil end
  if step.status == 'Done' then return answer('AlreadyDone') end
  if step.attempt > request.attempt or (step.attempt == request.attempt and step.sequence >= request.sequence) then
    return answer('AlreadyStored')
  end
end

-- Steps.

-- The step's newest try is over: put it in the list of tries, where it stays.
local function keep_try(step)
  redis.call('RPUSH', tries_key, cmsgpack.pack({
    name = step.name, key = step.key, attempt = step.attempt,
    outcome = step.status == 'Started' and 'Interrupted' or step.status, error = step.error, started = step.started,
    finished = step.finished or step.saved
  }))
end

-- The step as it is before this try's own fields are set, and whether its try goes on. A record that is Started by an
-- earlier attempt, or Failed, belongs to a try that is over: it is counted, and kept in the list of tries.
local function step_of_this_try(step, name, key, goes_on)
  if not step then
    step = {name = name}
    if key and key ~= '' then step.key = key end
    return step, false
  end
  if step.status == 'Started' and (step.attempt == request.attempt or goes_on) then return step, true end
  keep_try(step)
  step.tries = (step.tries or 1) + 1
  if step.status == 'Started' then step.interruptions = (step.interruptions or 0) + 1 end
  return step, false
end

local function write_step(id, step, value)
  redis.call('HSET', steps_key, id, packed(step, value))
  if step.status == 'Done' then
    redis.call('ZADD', done_key, step.ordinal or 0, id)
  else
    redis.call('ZADD', open_key, step.ordinal or 0, id)
  end
end

-- Show that a step runs: what a saved cursor and a heartbeat have in common.
local function show_step(step, is_same, shown, time)
  step.ordinal = shown.ordinal
  step.status = 'Started'
  step.attempt = request.attempt
  step.error = nil
  step.final = nil
  step.retry_at = nil
  step.finished = nil
  if not is_same then step.started = time - (shown.running_ms or 0) end
  step.progress_current = shown.progress_current
  step.progress_total = shown.progress_total
  step.progress_message = shown.progress_message
end

-- Signals.

-- Those that no wait has taken.
local function unconsumed_signals()
  local there = {}
  for _, stored in ipairs(redis.call('HVALS', signals_key)) do
    if not unpacked(stored).consumed_by then there[#there + 1] = stored end
  end
  return document(there)
end
