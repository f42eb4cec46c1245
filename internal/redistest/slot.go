package redistest

import "strings"

// Slots is the number of hash slots in a cluster.
const Slots = 16384

// Slot is the hash slot of a key: of the part between its first braces, if they hold something, or of all of it
// (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec).
func Slot(key string) int {
	if open := strings.IndexByte(key, '{'); open >= 0 {
		if length := strings.IndexByte(key[open+1:], '}'); length > 0 {
			key = key[open+1 : open+1+length]
		}
	}
	return int(crc16(key)) % Slots
}

// crc16 is CRC-16/XMODEM.
func crc16(s string) uint16 {
	var crc uint16
	for i := range len(s) {
		crc ^= uint16(s[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}
