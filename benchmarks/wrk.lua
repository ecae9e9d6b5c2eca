-- The requests of wrk, and its output at the end. Arguments after `--`: the kind of request, one of
-- those below, then the arguments of that kind.

local kinds = {}
local next_request

local function lines(name)
  local all = {}
  for line in io.lines(name) do all[#all + 1] = line end
  return all
end

-- GET of a random key from a file; the requests are built beforehand.
function kinds.random(file, path, seed)
  local requests = lines(file)
  for i, key in ipairs(requests) do requests[i] = wrk.format("GET", path .. key) end
  math.randomseed(tonumber(seed))
  local random, n = math.random, #requests
  return function() return requests[random(n)] end
end

-- GET of each key of a file once, from line `first` on (counted from 0). After the last one it
-- requests that one again until the earlier responses must have arrived, then exits without output:
-- wrk's own way to stop early would still wait for the end of the duration.
function kinds.once(file, path, first)
  local keys, at, more = lines(file), tonumber(first), 1000
  return function()
    at = at + 1
    if at > #keys + more then os.exit(0) end
    return wrk.format("GET", path .. keys[math.min(at, #keys)])
  end
end

-- POST of the same body each time: the server chooses the GUID.
function kinds.create(body)
  local request = wrk.format("POST", "/guid", nil, body)
  return function() return request end
end

-- PUT of the same body to a random key of Webdis.
function kinds.set(body, seed)
  math.randomseed(tonumber(seed))
  local random, top = math.random, 2 ^ 31 - 1
  return function()
    local key = string.format(
      "/SET/%08X%08X%08X%08X", random(0, top), random(0, top), random(0, top), random(0, top))
    return wrk.format("PUT", key, nil, body)
  end
end

function init(args)
  next_request = kinds[args[1]](unpack(args, 2))
end

function request()
  return next_request()
end

-- wrk counts every response that is not 2xx or 3xx as a status error.
function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "microseconds": %d, "p99": %d, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration, latency:percentile(99),
    e.status, e.connect + e.read + e.write + e.timeout))
end
