-- Store a signal once (ARGV[2] is its payload), and wake the run if it waits for one of this name. A worker's end
-- compares `signal_seq`, so that either the run is found waiting here, or the worker is told that a signal came.

local run = read_run()
if not run then return {'NoSuchRun'} end
if redis.call('HEXISTS', signals_key, request.id) == 1 then return {'AlreadySent'} end -- also when it has ended since
if is_terminal(run.status) then return {'RunEnded', run.status} end

local time = now()
local sequence = run.signal_seq + 1
redis.call('HSET', signals_key, request.id, packed({
  id = request.id, name = request.name, number = sequence, sent = time, sender = request.sender
}, ARGV[2]))
add_event(time, 'SignalReceived', run.attempt, request.name)
local changes = {signal_seq = sequence}
if run.wake_on and allowed(run.status, 'Pending') then
  for _, name in ipairs(cmsgpack.unpack(run.wake_on)) do
    if name == request.name then
      changes = merged(changes, NOT_WAITING, {status = 'Pending', reason = 'SignalReceived', message = false})
    end
  end
end
change_run(time, changes)
return {'Sent', sequence}
