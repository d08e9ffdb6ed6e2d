-- fields(flat): what a flat list of names and values says, by name; of one that stands there twice the last counts.
local function fields(flat)
  local at = {}
  for i = 1, #flat, 2 do at[flat[i]] = flat[i + 1] end
  return at
end
