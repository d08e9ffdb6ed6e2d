-- What an entry counts as beside its size: about what its name, its expiry and its place in the index take.
local OVERHEAD = 320
