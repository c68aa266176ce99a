-- What wrk asks: a file of header lines, an empty line, and bodies, one a line, which are sent in turn.
-- At the end one line of JSON tells what became of them.

local requests, at = {}, 0

function init(args)
  local headers, heads = {["Content-Type"] = "application/json"}, true
  for line in io.lines(args[1]) do
    if line == "" then
      heads = false
    elseif heads then
      local name, value = line:match("^([^:]+): (.*)$")
      headers[name] = value
    else
      requests[#requests + 1] = wrk.format("POST", nil, headers, line)
    end
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local told = '{"us":%d,"requests":%d,"refused":%d,"failed":%d,"p50":%d,"p90":%d,"p99":%d}\n'
  local errors = summary.errors
  io.write(told:format(summary.duration, summary.requests, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99)))
end
