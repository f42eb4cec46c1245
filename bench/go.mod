module github.com/tarncache/tarn/bench

go 1.25

require github.com/tarncache/tarn v0.1.0

replace github.com/tarncache/tarn => ../
