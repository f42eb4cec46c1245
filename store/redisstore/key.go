package redisstore

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/keybytes"
)

const (
	defaultPartitions = 256
	maxPartitions     = 16384 // the hash slots of a cluster
	maxNamespace      = 128   // bytes
	maxPlainKey       = 128   // bytes of a key that stand in the Redis key as they are; longer ones are hashed
	maxKey            = 1 << 20
)

// What follows the braces of a Redis key says what the key is.
const (
	recordMark = 'r' // the partition's record
	plainMark  = 'k' // a key, by its bytes
	hashedMark = 'h' // a key, by the SHA-256 of its bytes in hexadecimal

	tagMark       = 't' // the record of a tag, by its bytes
	hashedTagMark = 'T' // the record of a tag, by the SHA-256 of its bytes in hexadecimal
	counterMark   = 's' // the counter of the namespace's invalidations, in its first partition
)

var errKeyTooLong = fmt.Errorf("redisstore: key: longer than %d bytes: %w", maxKey, tarn.ErrTooHeavy)

// keyNames makes Redis keys of the keys of a store, and back: {NAMESPACE:PARTITION}kBYTES. No two keys have the same
// Redis key, nor do keys of two namespaces, since a namespace has no braces and a partition is a decimal number. All
// methods may be called at once.
type keyNames[K comparable] struct {
	records []string // by partition, {NAMESPACE:PARTITION}r
	seed    uint64   // tells the namespace in hashes
	form    keybytes.Form[K]
}

// keyName is what a key is called.
type keyName struct {
	bytes     string // the key's own bytes, however many
	redis     string // the Redis key
	partition int
	hash      uint64 // of the namespace and the key's bytes
}

// hashed reports whether the Redis key does not tell the key's bytes.
func (n keyName) hashed() bool { return len(n.bytes) > maxPlainKey }

// newKeyNames panics where the Config makes no sense.
func newKeyNames[K comparable](
	namespace string, partitions int, appendKey func(dst []byte, key K) ([]byte, error), parseKey func(src []byte) (K, error),
) *keyNames[K] {
	if why := badNamespace(namespace); why != "" {
		panic("redisstore: Config.Namespace " + why)
	}
	if partitions == 0 {
		partitions = defaultPartitions
	}
	if partitions < 1 || partitions > maxPartitions {
		panic("redisstore: Config.Partitions is " + strconv.Itoa(partitions) + ", which is not between 1 and " +
			strconv.Itoa(maxPartitions))
	}
	n := &keyNames[K]{
		records: make([]string, partitions),
		seed:    xxhash.Sum64String("tarn namespace " + namespace),
		form: keybytes.New(keybytes.Options[K]{
			Append: appendKey, Parse: parseKey, Package: "redisstore", Config: "Config",
		}),
	}
	for p := range n.records {
		n.records[p] = "{" + namespace + ":" + strconv.Itoa(p) + "}" + string(recordMark)
	}
	return n
}

// badNamespace says what is wrong with a namespace, or nothing. It stands in a comment of a script, and so is one line.
func badNamespace(namespace string) string {
	switch {
	case namespace == "":
		return "is empty"
	case len(namespace) > maxNamespace:
		return "is longer than " + strconv.Itoa(maxNamespace) + " bytes"
	case strings.ContainsAny(namespace, "{}"):
		return "has braces, which are for the partition"
	case !utf8.ValidString(namespace):
		return "is not UTF-8"
	case strings.ContainsFunc(namespace, unicode.IsControl):
		return "has control characters"
	}
	return ""
}

// name allocates nothing but the Redis key where keys are strings or integers of up to maxPlainKey bytes.
func (n *keyNames[K]) name(key K) (keyName, error) {
	if text, ok := n.form.Text(key); ok {
		return n.nameString(text)
	}
	var buf [keybytes.MaxInteger]byte
	if digits, ok := n.form.AppendInteger(buf[:0], key); ok {
		return n.nameBytes(digits)
	}
	bytes, err := n.form.Append(nil, key)
	if err != nil {
		return keyName{}, err
	}
	return n.nameBytes(bytes)
}

// nameString is for bytes that are known, as those of a message are.
func (n *keyNames[K]) nameString(bytes string) (keyName, error) {
	if len(bytes) > maxKey {
		return keyName{}, errKeyTooLong
	}
	if len(bytes) > maxPlainKey {
		return n.nameHashed(bytes), nil
	}
	sum := xxhash.Sum64String(bytes)
	p := n.partition(sum)
	redis := n.braces(p) + string(plainMark) + bytes
	return keyName{bytes: redis[len(redis)-len(bytes):], redis: redis, partition: p, hash: n.hash(sum)}, nil
}

func (n *keyNames[K]) nameBytes(bytes []byte) (keyName, error) {
	if len(bytes) > maxPlainKey {
		return n.nameString(string(bytes))
	}
	sum := xxhash.Sum64(bytes)
	p := n.partition(sum)
	redis := n.braces(p) + string(plainMark) + string(bytes)
	return keyName{bytes: redis[len(redis)-len(bytes):], redis: redis, partition: p, hash: n.hash(sum)}, nil
}

func (n *keyNames[K]) nameHashed(bytes string) keyName {
	sum := xxhash.Sum64String(bytes)
	p := n.partition(sum)
	redis := n.braces(p) + string(hashedMark) + digest(bytes)
	return keyName{bytes: bytes, redis: redis, partition: p, hash: n.hash(sum)}
}

// digest returns the SHA-256 of bytes in hexadecimal.
func digest(bytes string) string {
	sum := sha256.Sum256([]byte(bytes))
	return hex.EncodeToString(sum[:])
}

// tag returns what a tag's record is called.
func (n *keyNames[K]) tag(tag string) keyName {
	p := n.partition(xxhash.Sum64String(tag))
	if len(tag) > maxPlainKey {
		return keyName{bytes: tag, redis: n.braces(p) + string(hashedTagMark) + digest(tag), partition: p}
	}
	return keyName{bytes: tag, redis: n.braces(p) + string(tagMark) + tag, partition: p}
}

// counter returns what the counter is called.
func (n *keyNames[K]) counter() keyName { return keyName{redis: n.braces(0) + string(counterMark)} }

func (n *keyNames[K]) partition(sum uint64) int { return int(sum % uint64(len(n.records))) }

// record returns the Redis key of a partition's record.
func (n *keyNames[K]) record(partition int) string { return n.records[partition] }

// braces returns {NAMESPACE:PARTITION}.
func (n *keyNames[K]) braces(partition int) string {
	record := n.records[partition]
	return record[:len(record)-1]
}

// hash is not symmetric in namespace and key, so that swapping the two is another hash.
func (n *keyNames[K]) hash(sum uint64) uint64 {
	const odd = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
	return sum*odd + n.seed
}

// back returns the name that a Redis key stands for, and whether it is one of this namespace's keys and not its record
// or anything else. Where the Redis key has the key's hash only, full has the key's bytes, as fullKey of what is
// stored there tells them; otherwise full is ignored.
func (n *keyNames[K]) back(redis, full string) (keyName, bool) {
	end := strings.IndexByte(redis, '}')
	if end < 0 || end+1 == len(redis) {
		return keyName{}, false
	}
	bytes := full
	switch redis[end+1] {
	case plainMark:
		bytes = redis[end+2:]
	case hashedMark:
	default:
		return keyName{}, false
	}
	name, err := n.nameString(bytes)
	return name, err == nil && name.redis == redis
}

// isHashed reports whether back needs the full key of what is stored under a Redis key.
func (n *keyNames[K]) isHashed(redis string) bool {
	end := strings.IndexByte(redis, '}')
	return end >= 0 && end+1 < len(redis) && redis[end+1] == hashedMark
}

// parses reports whether parse works at all.
func (n *keyNames[K]) parses() bool { return n.form.Parses() }

// parse returns the key that has the bytes. It fails where they are no key's, and with errors.ErrUnsupported where keys
// cannot be told by their bytes.
func (n *keyNames[K]) parse(bytes string) (K, error) { return n.form.Parse(bytes) }
