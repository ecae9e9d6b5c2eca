if reader ~= ARGV[1] then return 0 end
reader, reader_due = nil, nil
if ARGV[2] then put(ARGV[2], ARGV[3], ARGV[4]) end
save()
return 1
