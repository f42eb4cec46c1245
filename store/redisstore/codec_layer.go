package redisstore

// Layer turns the bytes that a [Codec] made into others and back, as compression and encryption do. Its methods may be
// called by any number of goroutines at once.
//
// Compress before you encrypt, since what is encrypted does not get smaller. Then the length of what is stored tells
// something of the value: where somebody can put text of theirs beside a secret in one value, and see lengths, leave
// the compression out.
type Layer interface {
	// ID names what the layer does, as that of a Codec does. IDs below 128 are tarn's own; yours are from 128 on.
	ID() byte

	// Append appends to dst what becomes of src. What bound says is the same for Append and Decode, and no other for
	// any other key, namespace, codec or list of layers. Neither src nor bound is kept or changed.
	Append(dst, src, bound []byte) ([]byte, error)

	// Decode appends to dst what src was made of. It returns an error where that would be more than limit bytes, without
	// taking memory for more. Neither src nor bound is kept or changed. Anybody who can write to Redis can have
	// written src.
	Decode(dst, src, bound []byte, limit int) ([]byte, error)
}

const (
	maxLayers     = 8
	layerOverhead = 256 // bytes by which a layer may make more of what it is given
)

// IDs of the layers of tarn. That of zstd is in its module.
const (
	flateID = 1
	aeadID  = 3
)
