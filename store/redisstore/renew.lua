-- All entries of the partition are gone, and all of its holds tainted; what it knows of tags may be old, and so may the
-- counter be, if it lies here.
proceed()
floor = ''
if key and redis.call('GET', key) then count(key, 0, true) end
mint()
tell('c', '')
return 'renewed'
