-- Mint the next attempt. From here on every earlier fence is broken.

local run = read_run()
if not run then return stale() end
local number = request.expected.attempt + 1
if run.attempt == number and run.nonce == request.nonce then return changed() end -- minted before; the reply was lost
if not is_as_expected(run) or not allowed(run.status, 'Pending') then return stale() end

local time = now()
local previous = read_attempt(run.attempt)
if previous then
  keep_progress(previous)
  write_attempt(previous)
end
redis.call('DEL', progress_key)
write_attempt({number = number, nonce = request.nonce, minted = time, generation = run.generation})
add_event(time, 'Minted', number)
change_run(time, merged(NOT_WAITING, {
  attempt = number, nonce = request.nonce, status = 'Pending', reason = false, message = false, stop_requested = false
}))
return changed()
