// Package goredisclient lets a [redisstore.Store] speak through the go-redis client that an application has already,
// with its addresses, TLS, user, pool, timeouts, retries and hooks as the application set them. [Wrap] says what such a
// client must not do, and which of its options a cache wants.
//
// # Rights
//
// A Redis user who may use a Store with namespace "users", and nothing else, is in the words of ACL SETUSER
//
//	~{users:* &tarn:{users} +ping +get +mget +getrange +pttl +time +set +setrange +del +pexpire +persist
//	+eval +evalsha +publish +subscribe +scan
//
// Without +scan a Store cannot be scanned, and without +subscribe and +ping not be watched. A cluster client also needs
// +cluster|slots and +command, as go-redis itself does.
package goredisclient
