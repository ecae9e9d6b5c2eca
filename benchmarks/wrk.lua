-- What wrk sends, and what it says at the end. Arguments after `--`: which of the requests
-- below, then that one's own.

local kinds = {}
local next_request

local function lines(name)
  local all = {}
  for line in io.lines(name) do all[#all + 1] = line end
  return all
end

-- GET of a random key out of a file; the requests are made beforehand.
function kinds.random(file, path, seed)
  local requests = lines(file)
  for i, key in ipairs(requests) do requests[i] = wrk.format("GET", path .. key) end
  math.randomseed(tonumber(seed))
  local random, n = math.random, #requests
  return function() return requests[random(n)] end
end

-- GET of each key of a file once, from line `first` on (counted from 0). After the last one it
-- asks for that again until the answers before must be there, then ends without a word: wrk's
-- own way to stop early would still wait for the time to pass.
function kinds.once(file, path, first)
  local keys, at, more = lines(file), tonumber(first), 1000
  return function()
    at = at + 1
    if at > #keys + more then os.exit(0) end
    return wrk.format("GET", path .. keys[math.min(at, #keys)])
  end
end

-- POST of one and the same body: the server chooses the GUID.
function kinds.create(body)
  local request = wrk.format("POST", "/guid", nil, body)
  return function() return request end
end

-- PUT of one and the same body to a random key of Webdis.
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

-- wrk counts every answer that is not 2xx or 3xx as an error of status.
function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "microseconds": %d, "p99": %d, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration, latency:percentile(99),
    e.status, e.connect + e.read + e.write + e.timeout))
end
