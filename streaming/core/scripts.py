"""The Lua scripts that make each operation on a feed one atomic step.
KEYS are always state (hash: key -> arrival time in 13 digits of milliseconds + value), log (stream, ids `<seq>-0`), meta (hash:
epoch, seq) and touched (sorted set: key -> time of the last put, only of feeds whose items expire). Effects are replicated, so
the time may be Redis's own.
"""

OPEN = """
local state, log, meta, touched = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local found = redis.call('HMGET', meta, 'epoch', 'seq')
local epoch, seq = found[1], tonumber(found[2])
if not epoch then
  epoch, seq = ARGV[1], 0
  redis.call('DEL', state, log, touched)
  redis.call('HSET', meta, 'epoch', epoch, 'seq', 0)
end
local time = redis.call('TIME')
local now = string.format('%013d', time[1] * 1000 + math.floor(time[2] / 1000))
"""

CLOSE = """
redis.call('HSET', meta, 'seq', seq)
"""

# ARGV: new epoch, log length, most items (0: any number), lifetime in ms (0: for ever), then key, value, key, value ...
# Returns epoch, seq and one letter an item: a(dded) u(pdated) = (unchanged) x (no room).
PUT = (
    OPEN
    + """
local length, most, lifetime = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local keys = {}
for i = 5, #ARGV, 2 do keys[#keys + 1] = ARGV[i] end
local stored = redis.call('HMGET', state, unpack(keys))
local current = {}
for i, key in ipairs(keys) do current[key] = stored[i] end
local count = most > 0 and redis.call('HLEN', state) or 0
local outcomes, sets, touches = {}, {}, {}
for i, key in ipairs(keys) do
  local value, old = ARGV[4 + 2 * i], current[key]
  local outcome
  if old and string.sub(old, 14) == value then
    outcome = '='
  elseif not old and most > 0 and count >= most then
    outcome = 'x'
  else
    local new = now .. value
    seq = seq + 1
    local id = string.format('%d-0', seq)
    if old then
      redis.call('XADD', log, 'MAXLEN', '~', length, id, 'k', key, 'n', new, 'o', old)
      outcome = 'u'
    else
      redis.call('XADD', log, 'MAXLEN', '~', length, id, 'k', key, 'n', new)
      count = count + 1
      outcome = 'a'
    end
    current[key] = new
    sets[#sets + 1] = key
    sets[#sets + 1] = new
  end
  outcomes[i] = outcome
  if lifetime > 0 and outcome ~= 'x' then
    touches[#touches + 1] = now
    touches[#touches + 1] = key
  end
end
if #sets > 0 then redis.call('HSET', state, unpack(sets)) end
if #touches > 0 then redis.call('ZADD', touched, unpack(touches)) end
"""
    + CLOSE
    + "return {epoch, seq, table.concat(outcomes)}"
)

_REMOVE = """
local function remove(key, old, reason)
  seq = seq + 1
  redis.call('XADD', log, 'MAXLEN', '~', ARGV[2], string.format('%d-0', seq), 'k', key, 'o', old, 'r', reason)
  redis.call('HDEL', state, key)
  redis.call('ZREM', touched, key)
end
"""

# ARGV: new epoch, log length, reason, then keys. Returns epoch, seq and one letter a key: d(eleted) or - (was not there).
DELETE = (
    OPEN
    + _REMOVE
    + """
local outcomes = {}
for i = 4, #ARGV do
  local old = redis.call('HGET', state, ARGV[i])
  if old then remove(ARGV[i], old, ARGV[3]) end
  outcomes[#outcomes + 1] = old and 'd' or '-'
end
"""
    + CLOSE
    + "return {epoch, seq, table.concat(outcomes)}"
)

# ARGV: new epoch, log length, lifetime in ms, most keys at once. Items stored before the feed had a lifetime count from their arrival.
EXPIRE = (
    OPEN
    + _REMOVE
    + """
if redis.call('ZCARD', touched) < redis.call('HLEN', state) then
  local all = redis.call('HGETALL', state)
  for i = 1, #all, 2 do redis.call('ZADD', touched, 'NX', string.sub(all[i + 1], 1, 13), all[i]) end
end
local gone = redis.call('ZRANGEBYSCORE', touched, '-inf', tonumber(now) - tonumber(ARGV[3]), 'LIMIT', 0, ARGV[4])
for _, key in ipairs(gone) do
  local old = redis.call('HGET', state, key)
  if old then remove(key, old, 'expired') else redis.call('ZREM', touched, key) end
end
"""
    + CLOSE
    + "return {epoch, seq, #gone}"
)

# ARGV: new epoch, log length, then values. For feeds that are only a log (events).
APPEND = (
    OPEN
    + """
for i = 3, #ARGV do
  seq = seq + 1
  redis.call('XADD', log, 'MAXLEN', '~', ARGV[2], string.format('%d-0', seq), 'n', now .. ARGV[i])
end
"""
    + CLOSE
    + "return {epoch, seq, #ARGV - 2}"
)

# ARGV: new epoch. Returns epoch, seq and the whole state, as of one moment.
READ = OPEN + "return {epoch, seq, redis.call('HGETALL', state)}"

# ARGV: new epoch, the epoch it replaces. Declares every cursor given so far void.
RENEW = OPEN + "if epoch == ARGV[2] then redis.call('HSET', meta, 'epoch', ARGV[1]) end return redis.call('HGET', meta, 'epoch')"
