till, due, answer, reader, reader_due = nil, nil, nil, nil, nil
if writers then
  writers[ARGV[1]] = nil
  if not next(writers) then writers = nil end
end
last = ''
save()
return 1
