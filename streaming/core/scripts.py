"""The Lua scripts that make each operation on a feed one atomic step.
KEYS are always state (hash: key -> arrival time in 13 digits of milliseconds + value), log (stream, ids `<seq>-0`), meta (hash:
epoch, seq, stamp) and touched (sorted set: key -> time of the last put, only of feeds whose items expire). ARGV begin with a random
text and, where something is logged, the length of the log. Effects are replicated, so the time may be Redis's own.

The random text is the epoch of a feed that is new, and the stamp of what is written: it tells two histories apart that have come to the
same number. Whoever changes a feed rings its doorbell in the same step (`doorbell.py` reads what is published).
"""

from __future__ import annotations

PUSHED_BYTES = 16 * 1024
"""A doorbell brings what was logged with it, up to about so much; of more it says only that it is there."""

# Stores the place that a feed has come to, and publishes it on the channel that is called like its meta. Each of `lines` is key, new
# and old version and reason, '' for none. A user of Redis who must not publish stores nevertheless.
RING = (
    f"local most_pushed = {PUSHED_BYTES}"
    + """
local function ring(meta, epoch, first, before, seq, stamp, lines)
  redis.call('HSET', meta, 'seq', seq, 'stamp', stamp)
  redis.pcall('PUBLISH', meta, cmsgpack.pack({epoch, first, before, seq, stamp, lines}))
end
"""
)

OPEN = (
    RING
    + """
local state, log, meta, touched = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local found = redis.call('HMGET', meta, 'epoch', 'seq', 'stamp')
local epoch, seq, before = found[1], tonumber(found[2]), found[3] or ''
if not epoch then
  epoch, seq = ARGV[1], 0
  redis.call('DEL', state, log, touched)
  redis.call('HSET', meta, 'epoch', epoch, 'seq', 0)
end
local time = redis.call('TIME')
local now = string.format('%013d', time[1] * 1000 + math.floor(time[2] / 1000))
local first, lines, room = seq, {}, most_pushed
local function append(key, new, old, reason)
  seq = seq + 1
  local line = {'XADD', log, 'MAXLEN', '~', ARGV[2], string.format('%d-0', seq)}
  if key ~= '' then line[#line + 1] = 'k' line[#line + 1] = key end
  if new ~= '' then line[#line + 1] = 'n' line[#line + 1] = new end
  if old ~= '' then line[#line + 1] = 'o' line[#line + 1] = old end
  if reason ~= '' then line[#line + 1] = 'r' line[#line + 1] = reason end
  redis.call(unpack(line))
  room = room - #key - #new - #old - #reason
  if room >= 0 then lines[#lines + 1] = {key, new, old, reason} end
end
"""
)

CLOSE = """
if seq > first then ring(meta, epoch, first, before, seq, ARGV[1], room < 0 and {} or lines) end
"""

# A condition on the version that is stored: '*' (there is one), versions separated by blanks (it is one of them), '!' and either of the
# two for the opposite, '' for none. A version is the SHA-1 of a value.
CONDITIONS = """
local conflicts = {}
local function version(old)
  return old and redis.sha1hex(string.sub(old, 14)) or ''
end
local function holds(condition, old)
  if condition == '' then return true end
  local negated = string.sub(condition, 1, 1) == '!'
  local wanted = negated and string.sub(condition, 2) or condition
  local found = old and (wanted == '*' or string.find(wanted, version(old), 1, true)) and true or false
  if found == negated then conflicts[#conflicts + 1] = version(old) end
  return found ~= negated
end
"""

# ARGV: new epoch, log length, most items (0: any number), lifetime in ms (0: for ever), items' length, then the items: key, value, and a
# condition if they have the length 3. What equals the stored value is unchanged whatever version was expected, so that a request whose
# answer was lost may be repeated. Returns epoch, seq, one letter an item: a(dded) u(pdated) = (unchanged) x (no room) ! (the condition
# does not hold), and the versions that are stored in the place of those that have a !.
PUT = (
    OPEN
    + CONDITIONS
    + """
local most, lifetime, size = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local keys = {}
for i = 6, #ARGV, size do keys[#keys + 1] = ARGV[i] end
local stored = redis.call('HMGET', state, unpack(keys))
local current = {}
for i, key in ipairs(keys) do current[key] = stored[i] end
local count = most > 0 and redis.call('HLEN', state) or 0
local outcomes, sets, touches = {}, {}, {}
for i, key in ipairs(keys) do
  local place = 6 + size * (i - 1)
  local value, old, condition = ARGV[place + 1], current[key], size > 2 and ARGV[place + 2] or ''
  local same = old and string.sub(old, 14) == value
  local outcome
  if same and string.sub(condition, 1, 1) ~= '!' then
    outcome = '='
  elseif not holds(condition, old) then
    outcome = '!'
  elseif same then
    outcome = '='
  elseif not old and most > 0 and count >= most then
    outcome = 'x'
  else
    local new = now .. value
    append(key, new, old or '', '')
    outcome = old and 'u' or 'a'
    if not old then count = count + 1 end
    current[key] = new
    sets[#sets + 1] = key
    sets[#sets + 1] = new
  end
  outcomes[i] = outcome
  if lifetime > 0 and outcome ~= 'x' and outcome ~= '!' then
    touches[#touches + 1] = now
    touches[#touches + 1] = key
  end
end
if #sets > 0 then redis.call('HSET', state, unpack(sets)) end
if #touches > 0 then redis.call('ZADD', touched, unpack(touches)) end
"""
    + CLOSE
    + "return {epoch, seq, table.concat(outcomes), conflicts}"
)

_REMOVE = """
local function remove(key, old, reason)
  append(key, '', old, reason)
  redis.call('HDEL', state, key)
  redis.call('ZREM', touched, key)
end
"""

# ARGV: new epoch, log length, reason, a condition, then keys. Returns epoch, seq, one letter a key: d(eleted), - (was not there) or
# ! (the condition does not hold), and the versions of those.
DELETE = (
    OPEN
    + CONDITIONS
    + _REMOVE
    + """
local outcomes = {}
for i = 5, #ARGV do
  local old = redis.call('HGET', state, ARGV[i])
  local outcome = not old and '-' or holds(ARGV[4], old) and 'd' or '!'
  if outcome == 'd' then remove(ARGV[i], old, ARGV[3]) end
  outcomes[#outcomes + 1] = outcome
end
"""
    + CLOSE
    + "return {epoch, seq, table.concat(outcomes), conflicts}"
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
for i = 3, #ARGV do append('', now .. ARGV[i], '', '') end
"""
    + CLOSE
    + "return {epoch, seq, #ARGV - 2}"
)

# ARGV: new epoch, log length, seconds to remember, what the value was made of, the value. KEYS[5] is what is remembered. The value is
# logged unless something was under this key in that time. Returns epoch, seq, and of what the first one was made.
APPEND_ONCE = (
    OPEN
    + """
local known = redis.call('GET', KEYS[5])
if known then
  local at, made_of = string.match(known, '^(%S+) (%S+)$')
  local known_epoch, known_seq = string.match(at, '^(.*):(%d+)$')
  return {known_epoch, tonumber(known_seq), made_of}
end
append('', now .. ARGV[5], '', '')
redis.call('SET', KEYS[5], string.format('%s:%d %s', epoch, seq, ARGV[4]), 'EX', ARGV[3])
"""
    + CLOSE
    + "return {epoch, seq, ARGV[4]}"
)

# ARGV: new epoch. Returns epoch, seq, the whole state and the stamp, as of one moment.
READ = OPEN + "return {epoch, seq, redis.call('HGETALL', state), before}"

# ARGV: new epoch, the epoch it replaces. Declares every cursor given so far void.
RENEW = OPEN + "if epoch == ARGV[2] then redis.call('HSET', meta, 'epoch', ARGV[1]) end return redis.call('HGET', meta, 'epoch')"
