-- A run for deciding and showing. Of the steps: the first failed ones (up to a third), then the running, then the newest.

local run = redis.call('HGETALL', run_key)
if #run == 0 then return false end
local failed, running = {}, {}
for _, stored in ipairs(read_many(steps_key, redis.call('ZRANGE', open_key, 0, -1))) do
  local step = unpacked(stored)
  if step.status == 'Failed' then failed[#failed + 1] = step else running[#running + 1] = step end
end
local shown = {}
for i = 1, math.min(#failed, math.ceil(request.steps / 3)) do shown[#shown + 1] = packed(failed[i]) end
for i = #running, 1, -1 do
  if #shown < request.steps then shown[#shown + 1] = packed(running[i]) end
end
local rest = request.steps - #shown
if rest > 0 then
  for _, stored in ipairs(read_many(steps_key, redis.call('ZREVRANGE', done_key, 0, rest - 1))) do
    shown[#shown + 1] = packed((unpacked(stored)))
  end
end
return {
  run, redis.call('HVALS', attempts_key), redis.call('HGETALL', progress_key), document(shown),
  redis.call('ZCARD', done_key), redis.call('HLEN', steps_key), now()
}
