-- wrk's half of the load: the bodies of a file (one a line) in turn, and what became of them as one line of JSON.
-- Arguments: the file, then headers as "Name: value".

local bodies, at = {}, 0

function init(args)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  for line in io.lines(args[1]) do bodies[#bodies + 1] = line end
  for place = 2, #args do
    local name, value = args[place]:match("^([^:]+): (.*)$")
    wrk.headers[name] = value
  end
  for place, body in ipairs(bodies) do bodies[place] = wrk.format(nil, nil, nil, body) end
end

function request()
  at = at % #bodies + 1
  return bodies[at]
end

function done(summary, latency)
  local told = '{"requests":%d,"us":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d,"p50":%d,"p99":%d}\n'
  local errors = summary.errors
  io.write(told:format(summary.requests, summary.duration, errors.connect, errors.read, errors.write, errors.status,
    errors.timeout, latency:percentile(50), latency:percentile(99)))
end
