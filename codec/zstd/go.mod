module github.com/tarncache/tarn/codec/zstd

go 1.25.0

require (
	github.com/klauspost/compress v1.20.3
	github.com/tarncache/tarn v0.1.0
)

replace github.com/tarncache/tarn => ../..
