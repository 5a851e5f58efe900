-- Store the payload (ARGV[2]) that all steps share, unless a later write of this attempt has.

local refusal = refused(function() return redis.call('HGET', run_key, 'payload_write_id') end)
if refusal then return refusal end
change_run(now(), merged({payload_write_id = request.write_id}, payload_fields(ARGV[2])))
return answer('Stored')
