-- later(a, b): is entry id a later than b? As numbers of any length: a double is exact only to 2^53.
local function later(a, b)
  local dash = string.find(a, '-', 1, true)
  if #a == #b and dash == string.find(b, '-', 1, true) then return a > b end -- as nearly always
  local function greater(x, y) return #x ~= #y and #x > #y or #x == #y and x > y end
  local a_ms, a_seq = string.match(a, '^0*(%d+)-0*(%d+)$')
  local b_ms, b_seq = string.match(b, '^0*(%d+)-0*(%d+)$')
  if a_ms ~= b_ms then return greater(a_ms, b_ms) end
  return greater(a_seq, b_seq)
end
