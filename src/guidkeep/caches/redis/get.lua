if known then
  if answer and ms < number(due) then return answer end
  if reader and ms < number(reader_due) then return 2 end
  for _, standing in pairs(standings(writers)) do
    if ms < number(standing) then return 0 end
  end
end
redis.call('SET', key,
  cmsgpack.pack(GENERATION, false, false, false, ARGV[2], ms + LEASE_TIME), 'PX', LEASE_TIME)
return 1
