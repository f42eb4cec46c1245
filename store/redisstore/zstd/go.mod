module github.com/tarncache/tarn/store/redisstore/zstd

go 1.25.0

require github.com/tarncache/tarn v0.1.0

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/klauspost/compress v1.20.3
)

replace github.com/tarncache/tarn => ../../..
