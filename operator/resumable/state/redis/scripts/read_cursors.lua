-- All cursors, of done steps too.

return document(redis.call('HVALS', cursors_key))
