-- The month of a second as text, and when the next one begins. A year begins in March here, so that a leap day
-- is its last.
local function month_of(moment)
  local days = math.floor(moment / 86400) + 719468
  local era = math.floor(days / 146097)
  local left = days - era * 146097
  local leap_days = math.floor(left / 1460) - math.floor(left / 36524) + math.floor(left / 146096)
  local year = math.floor((left - leap_days) / 365)
  local day = left - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local month = math.floor((5 * day + 2) / 153)
  local first = math.floor((153 * month + 2) / 5)
  local civil = year + era * 400 + (month > 9 and 1 or 0)
  local length = math.floor((153 * month + 155) / 5) - first
  if month == 11 then
    length = (civil % 4 == 0 and (civil % 100 ~= 0 or civil % 400 == 0)) and 29 or 28
  end
  local text = string.format('%04d-%02d', civil, month > 9 and month - 9 or month + 3)
  return text, (days - 719468 - day + first + length) * 86400
end
