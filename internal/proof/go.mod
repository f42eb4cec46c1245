module github.com/tarncache/tarn/internal/proof

go 1.25.0

require (
	github.com/anishathalye/porcupine v1.3.1
	github.com/jackc/pgx/v5 v5.12.0
	github.com/redis/go-redis/v9 v9.22.0
	github.com/redis/rueidis v1.0.79
	github.com/tarncache/tarn v0.1.0
	github.com/tarncache/tarn/store/redisstore/goredisclient v0.1.0
	github.com/tarncache/tarn/store/redisstore/rueidisclient v0.1.0
	github.com/tarncache/tarn/strategies/journal/bolt v0.1.0
	go.uber.org/goleak v1.3.0
	golang.org/x/sys v0.47.0
	modernc.org/sqlite v1.59.0
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/dustin/go-humanize v1.0.1 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/ncruces/go-strftime v1.0.0 // indirect
	github.com/remyoudompheng/bigfft v0.0.0-20230129092748-24d4a6f8daec // indirect
	go.etcd.io/bbolt v1.5.0 // indirect
	go.uber.org/atomic v1.11.0 // indirect
	golang.org/x/sync v0.22.0 // indirect
	golang.org/x/text v0.41.0 // indirect
	modernc.org/libc v1.75.7 // indirect
	modernc.org/mathutil v1.7.1 // indirect
	modernc.org/memory v1.12.1 // indirect
)

replace (
	github.com/tarncache/tarn => ../..
	github.com/tarncache/tarn/store/redisstore/goredisclient => ../../store/redisstore/goredisclient
	github.com/tarncache/tarn/store/redisstore/rueidisclient => ../../store/redisstore/rueidisclient
	github.com/tarncache/tarn/strategies/journal/bolt => ../../strategies/journal/bolt
)
