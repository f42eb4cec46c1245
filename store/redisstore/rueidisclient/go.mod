module github.com/tarncache/tarn/store/redisstore/rueidisclient

go 1.25.0

require (
	github.com/redis/rueidis v1.0.79
	github.com/tarncache/tarn v0.1.0
	go.uber.org/goleak v1.3.0
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
)

replace github.com/tarncache/tarn => ../../..
