// Package goredisclient lets a [redisstore.Store] speak through the go-redis client that an application has already,
// with its addresses, TLS, user, pool, timeouts, retries and hooks as the application set them:
//
//	client := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: addrs})
//	users := redisstore.New(goredisclient.Wrap(client), redisstore.Config[string, User]{Namespace: "users"})
package goredisclient
