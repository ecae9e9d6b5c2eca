local GENERATION, LEASE_TIME = '%(generation)s', %(lease_time)d
local key = KEYS[1]
local function number(value) return tonumber(value) or 0 end
local function standings(value) return type(value) == 'table' and value or {} end
