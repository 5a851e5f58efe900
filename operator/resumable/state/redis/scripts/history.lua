-- Steps that are looked for by name, and forgotten.

-- Remove a step and its cursor: it runs again. Its newest try goes to the others.
local function forget(id, step)
  keep_try(step)
  redis.call('HDEL', steps_key, id)
  redis.call('HDEL', cursors_key, id)
  for _, key in ipairs({open_key, done_key, fading_key}) do redis.call('ZREM', key, id) end
  -- What the current attempt has to show for itself is counted down, as long as it is not over.
  if step.status == 'Done' and step.attempt == tonumber(redis.call('HGET', run_key, 'attempt')) then
    local so_far = tonumber(redis.call('HGET', progress_key, 'done') or 0)
    if so_far > 0 then redis.call('HSET', progress_key, 'done', so_far - 1) end
  end
end

-- All steps: a list of {id, record, value}, by ordinal.
local function all_steps()
  local steps = {}
  local flat = redis.call('HGETALL', steps_key)
  for i = 1, #flat, 2 do
    local record, value = unpacked(flat[i + 1])
    steps[#steps + 1] = {id = flat[i], record = record, value = value}
  end
  table.sort(steps, function(a, b)
    local first, second = a.record.ordinal or 0, b.record.ordinal or 0
    return first < second or (first == second and a.id < b.id)
  end)
  return steps
end

-- Whether a reference (a key of false: all keys of the name) means this step.
local function means(reference, record)
  return record.name == reference.name and (reference.key == nil or (record.key or '') == reference.key)
end

-- By their ids the steps that undo others, and those that they have undone: in a run that goes on all the same both are
-- as if they had never run.
local function undone(steps)
  local found = {}
  for _, step in ipairs(steps) do
    local name = step.record.name
    local undoes = name:sub(1, #request.compensate) == request.compensate
    if undoes or name:sub(1, #request.on_failure) == request.on_failure then found[step.id] = true end
    if undoes and step.record.status == 'Done' then
      found[field(name:sub(#request.compensate + 1), step.record.key)] = true
    end
  end
  return found
end

-- The ordinal of the step that is meant, of several that of the first or the last; nil: there is none.
local function ordinal_of(steps, reference, last)
  local found
  for _, step in ipairs(steps) do
    if means(reference, step.record) and (last or not found) then found = step.record.ordinal or 0 end
  end
  return found
end

-- The answer for a step that is not there: those that are.
local function no_such_step(steps)
  local there = {}
  for i = 1, math.min(#steps, request.most_named + 1) do
    there[#there + 1] = {steps[i].record.name, steps[i].record.key or ''}
  end
  return {'NoStep', there}
end
