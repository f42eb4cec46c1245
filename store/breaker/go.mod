module github.com/tarncache/tarn/store/breaker

go 1.25.0

require (
	github.com/sony/gobreaker/v2 v2.4.0
	github.com/tarncache/tarn v0.1.0
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	golang.org/x/sync v0.19.0 // indirect
)

replace github.com/tarncache/tarn => ../..
