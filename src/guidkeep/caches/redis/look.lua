local value = redis.call('GET', key)
local known, generation, till, due, answer, reader, reader_due, last, writers
if value then
  known, generation, till, due, answer, reader, reader_due, last, writers =
    pcall(cmsgpack.unpack, value)
  known = known and generation == GENERATION
end
if not (known and type(answer) == 'string' and tonumber(ARGV[1]) < number(till)) then
  answer = nil
elseif not writers then
  return answer  -- it is alone: the key ends when it does
end
