-- Requests made of records, for wrk. What to send is in the file that the first argument names (see bench/load.py).
-- Records are cut out of one string by their place: a million Lua strings would not fit beside each other.

local ffi = require("ffi")
ffi.cdef("int kill(int process, int signal); int getpid(void);")

local spec, data, from, answered
local concat, random = table.concat, math.random
local pieces, threads = {}, {}

function setup(thread)
  thread:set("number", #threads)
  threads[#threads + 1] = thread
end

function init(args)
  spec = dofile(args[1])
  local file = assert(io.open(spec.records, "rb"))
  data = file:read("*a")
  file:close()
  math.randomseed(spec.seed + number)
  from, answered = 0, 0
  wrong, example = 0, ""
  -- wrk reads answers into Lua only where there is somebody to read them, which takes time.
  if spec.look then response = look end
end

local function place()
  if not spec.in_order then return random(0, spec.count - 1) end
  from = from + 1
  -- Each once, all over the place: the step shares no divisor with the count.
  return (from - 1) * spec.step % spec.count
end

function request()
  local n = 0
  for i = 1, spec.batch do
    local start = place() * spec.width
    if i > 1 then
      n = n + 1
      pieces[n] = spec.separator
    end
    for _, part in ipairs(spec.item) do
      n = n + 1
      pieces[n] = type(part) == "string" and part or data:sub(start + part[1], start + part[2])
    end
  end
  return spec.before .. concat(pieces, "", 1, n) .. spec.after
end

function look(status, headers, body)
  answered = answered + 1
  if status ~= 200 or not body:find(spec.expected, 1, true) or body:find(spec.unexpected, 1, true) then
    wrong = wrong + 1
    example = status .. " " .. body:sub(1, 500)
  end
  -- Interrupted, as its thread that waits for the time to be over can't be told otherwise.
  if spec.in_order and answered * spec.batch >= spec.count then ffi.C.kill(ffi.C.getpid(), 2) end
end

function done(summary, latency)
  local errors, unlike, seen = summary.errors, 0, ""
  for _, thread in ipairs(threads) do
    unlike = unlike + thread:get("wrong")
    seen = thread:get("example")
  end
  io.stderr:write(string.format("%d %d %d %d %d %d %s\n", summary.duration, summary.requests, latency:percentile(50),
    latency:percentile(99), errors.connect + errors.read + errors.write + errors.timeout, errors.status + unlike, seen))
end
