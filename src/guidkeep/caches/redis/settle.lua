if writers and writers[ARGV[1]] then
  writers[ARGV[1]] = nil
  if not next(writers) then writers = nil end
  if ARGV[2] and last == ARGV[1] then put(ARGV[2], ARGV[3], ARGV[4]) end
  save()
  return 1
end
till, due, answer, reader, reader_due = nil, nil, nil, nil, nil
save()
return 0
