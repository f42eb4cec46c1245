module github.com/tarncache/tarn

go 1.25
