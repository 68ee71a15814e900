-- Keeps standings, but for those that are known in a newer version.
--
-- KEYS: one a standing. ARGV: for how many milliseconds; then the standings in JSON.

for place, key in ipairs(KEYS) do
  local standing = ARGV[place + 1]
  local known = redis.call('GET', key)
  if not known or cjson.decode(known).version <= cjson.decode(standing).version then
    redis.call('SET', key, standing, 'PX', ARGV[1])
  end
end
