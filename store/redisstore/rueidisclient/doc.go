// Package rueidisclient lets a [redisstore.Store] speak through the rueidis client that an application has already,
// with its addresses, TLS, user, connections and timeouts as the application set them. [Wrap] says what such a client
// must not do.
//
// # Rights
//
// A Redis user who may use a Store with namespace "users", and nothing else, is in the words of ACL SETUSER
//
//	~{users:* &tarn:{users} +ping +get +mget +getrange +pttl +time +set +setrange +del +pexpire +persist
//	+eval +evalsha +publish +subscribe +scan +client|tracking
//
// Without +scan a Store cannot be scanned, and without +subscribe and +ping not be watched. A cluster client also needs
// +cluster|slots, as rueidis itself does, and +role to be scanned. The last right is rueidis's own wish, unless the
// client has DisableCache.
package rueidisclient
