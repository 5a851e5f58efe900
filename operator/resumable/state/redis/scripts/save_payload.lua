-- Store the payload (ARGV[2]) that all steps share.

local refusal = refused(function() return redis.call('HGET', run_key, 'payload_write_id') end)
if refusal then return refusal end
change_run(now(), {payload = ARGV[2], payload_write_id = request.write_id})
return answer('Stored')
