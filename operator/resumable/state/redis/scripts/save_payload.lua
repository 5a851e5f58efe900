-- Store the payload (ARGV[2]) that all steps share, unless a later write of this attempt has.

local refusal = refused(function() return redis.call('HGET', run_key, 'payload_write_id') end)
if refusal then return refusal end
local time = now()
change_run(time, {payload_write_id = request.write_id})
save_payload(time, ARGV[2])
return answer('Stored')
