// Package rueidisclient lets a [redisstore.Store] speak through the rueidis client that an application has already,
// with its addresses, TLS, user, connections and timeouts as the application set them:
//
//	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: addrs})
//	users := redisstore.New(rueidisclient.Wrap(client), redisstore.Config[string, User]{Namespace: "users"})
package rueidisclient
