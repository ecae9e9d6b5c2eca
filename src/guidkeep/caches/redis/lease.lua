till, due, answer, reader, reader_due = nil, nil, nil, nil, nil
writers = writers or {}
writers[ARGV[1]] = ms + LEASE_TIME
last = ARGV[1]
save()
return 1
