local till, due, answer, reader, reader_due, last, writers
local value = redis.call('GET', key)
if value then
  local known, generation, a, b, c, d, e, f, g = pcall(cmsgpack.unpack, value)
  if known and generation == GENERATION then
    if type(c) == 'string' and ms < number(b) then till, due, answer = number(a), number(b), c end
    if type(d) == 'string' and ms < number(e) then reader, reader_due = d, number(e) end
    for token, standing in pairs(standings(g)) do
      if ms < number(standing) then
        last, writers = f, writers or {}
        writers[token] = standing
      end
    end
  end
end

local function put(until_, ttl, text)
  till, due, answer = tonumber(until_), ms + tonumber(ttl), text
end

local function save()
  local ends = math.max(due or 0, reader_due or 0)
  for _, standing in pairs(writers or {}) do ends = math.max(ends, standing) end
  if ends <= ms then
    redis.call('DEL', key)
  elseif writers then
    redis.call('SET', key, cmsgpack.pack(GENERATION, till or false, due or false,
      answer or false, false, false, last, writers), 'PX', ends - ms)
  elseif reader then
    redis.call('SET', key, cmsgpack.pack(GENERATION, false, false, false, reader, reader_due),
      'PX', ends - ms)
  else
    redis.call('SET', key, cmsgpack.pack(GENERATION, till, due, answer), 'PX', ends - ms)
  end
end
