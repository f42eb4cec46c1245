package codec

// Layer turns the bytes that a [Codec] made into others and back, as compression and encryption do. Its methods may be
// called by any number of goroutines at once.
//
// Compress before you encrypt, since what is encrypted does not get smaller. Then the length of what is kept tells
// something of the value: where somebody can put text of theirs beside a secret in one value, and see lengths, leave
// the compression out.
type Layer interface {
	// ID names what the layer does, as that of a Codec does. IDs below 128 are tarn's own; yours are from 128 on.
	ID() byte

	// Append appends to dst what becomes of src, which is at most [MaxOverhead] bytes more. What bound says is the same
	// for Append and Decode, and no other for any other key, place, codec or list of layers. Neither src nor bound is
	// kept or changed.
	Append(dst, src, bound []byte) ([]byte, error)

	// Decode appends to dst what src was made of. It returns an error where that would be more than limit bytes, without
	// taking memory for more. Neither src nor bound is kept or changed. Anybody who can write where values are kept can
	// have written src.
	Decode(dst, src, bound []byte, limit int) ([]byte, error)
}

// MaxOverhead is by how many bytes a Layer may make more of what it is given.
const MaxOverhead = 256

// IDs of the layers of tarn. That of zstd is in its module.
const (
	flateID = 1
	aeadID  = 3
)
