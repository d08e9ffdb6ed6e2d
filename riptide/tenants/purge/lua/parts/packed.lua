-- Whose a command is, by its packed fields.
local function tenant_in(text)
  local at, found = 1, nil
  while at < #text do
    local ok, name, value, next = pcall(struct.unpack, '>I4c0I4c0', text, at)
    if not ok then break end
    if name == 'tenant' then found = value end
    at = next
  end
  return found
end
