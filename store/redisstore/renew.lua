-- All entries of the partition are gone, and all of its holds tainted.
proceed()
mint()
tell('c', '')
return 'renewed'
