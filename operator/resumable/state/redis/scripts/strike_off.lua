-- Take names off a list, but not those that were put on it again since they were read. The request has what was read.

for name, listed_at in pairs(request.names) do
  if tonumber(redis.call('ZSCORE', KEYS[1], name)) == listed_at then redis.call('ZREM', KEYS[1], name) end
end
