package policy

// array grows in chunks, so that growing it copies no more than one chunk.
type array[T uint16 | uint32 | uint64] struct {
	chunks [][]T
	len    int
}

const (
	chunkBits = 12
	chunkLen  = 1 << chunkBits
	firstLen  = 32
)

func (a *array[T]) at(i int) T     { return a.chunks[i>>chunkBits][i&(chunkLen-1)] }
func (a *array[T]) set(i int, v T) { a.chunks[i>>chunkBits][i&(chunkLen-1)] = v }

// grow makes the array at least n long. New elements are 0.
func (a *array[T]) grow(n int) {
	for a.len < n {
		switch {
		case a.len == 0:
			a.chunks = append(a.chunks, make([]T, firstLen))
			a.len = firstLen
		case a.len < chunkLen:
			first := make([]T, 2*a.len)
			copy(first, a.chunks[0])
			a.chunks[0] = first
			a.len *= 2
		default:
			a.chunks = append(a.chunks, make([]T, chunkLen))
			a.len += chunkLen
		}
	}
}

// cut gives back the memory of what is not among the first n elements. Some of that may stay as it is.
func (a *array[T]) cut(n int) {
	if chunks := max((n+chunkLen-1)>>chunkBits, 1); chunks < len(a.chunks) {
		clear(a.chunks[chunks:])
		a.chunks = a.chunks[:chunks]
		a.len = chunks * chunkLen
	}
	size := a.len
	for size <= chunkLen && size > firstLen && size/2 >= n {
		size /= 2
	}
	if size < a.len {
		first := make([]T, size)
		copy(first, a.chunks[0])
		a.chunks[0], a.len = first, size
	}
}

// weights of the entries in an array of them. If not on, all weigh 1, and it takes no memory.
type weights struct {
	on bool
	of array[uint64]
}

func (w *weights) at(i int) uint64 {
	if !w.on {
		return 1
	}
	return w.of.at(i)
}

func (w *weights) set(i int, weight uint64) {
	if w.on {
		w.of.grow(i + 1)
		w.of.set(i, weight)
	}
}
