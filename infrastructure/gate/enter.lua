-- Answers visits, one after the other.
--
-- KEYS, three a visit: the standings of its session and its account, and its log.
-- ARGV: the time in microseconds, or nothing for the server's own; then, two a visit, the limit and
-- the window in microseconds.
-- Returns five a visit: both standings as they are kept, calls remaining (nil: not counted),
-- microseconds until the oldest call leaves, and microseconds until the next call passes (nil: this
-- one does).

local time = tonumber(ARGV[1])
if not time then
  local server = redis.call('TIME')
  time = server[1] * 1000000 + server[2]
end

local function has_fallen(session, account)
  if session and not session.open or account and not account.open then
    return true
  end
  local bound = session and account and session.epoch >= 0 -- an API key has no epoch: it is below 0
  return bound and session.epoch ~= account.epoch and session.id ~= account.spared
end

-- A call leaves the window a microsecond after it: one that is exactly a window old still counts.
local function until_gone(counted, window, now)
  return counted + window + 1 - now
end

local function count(log, limit, window)
  local newest = tonumber(redis.call('LINDEX', log, -1) or 0)
  local now = math.max(time, newest) -- a clock that is set back must not disorder the log
  local oldest = tonumber(redis.call('LINDEX', log, 0) or nil)
  while oldest and oldest < now - window do
    redis.call('LPOP', log)
    oldest = tonumber(redis.call('LINDEX', log, 0) or nil)
  end
  local counted = redis.call('LLEN', log)
  if counted < limit then
    redis.call('RPUSH', log, now)
    redis.call('PEXPIRE', log, math.ceil(window / 1000) + 1)
    return limit - counted - 1, until_gone(oldest or now, window, now), false
  end
  -- More than the limit are there when it was lowered: all of those in excess must leave, too.
  local last = limit > 0 and redis.call('LINDEX', log, counted - limit)
  local retry = last and until_gone(tonumber(last), window, now) or window
  return 0, oldest and until_gone(oldest, window, now) or 0, retry
end

local standings = {}
for key = 1, #KEYS, 3 do
  standings[#standings + 1] = KEYS[key]
  standings[#standings + 1] = KEYS[key + 1]
end
standings = redis.call('MGET', unpack(standings))

local answers = {}
for visit = 1, #KEYS / 3 do
  local session, account = standings[2 * visit - 1], standings[2 * visit]
  local remaining, reset, retry = false, 0, false
  if not has_fallen(session and cjson.decode(session), account and cjson.decode(account)) then
    local limit, window = tonumber(ARGV[2 * visit]), tonumber(ARGV[2 * visit + 1])
    remaining, reset, retry = count(KEYS[3 * visit], limit, window)
  end
  for place, value in ipairs({ session, account, remaining, reset, retry }) do
    answers[5 * (visit - 1) + place] = value
  end
end
return answers
