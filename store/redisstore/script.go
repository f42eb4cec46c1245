package redisstore

import (
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"fmt"
	"strings"
)

//go:embed record.lua
var recordLua string

//go:embed script.lua
var scriptLua string

//go:embed renew.lua
var renewLua string

// scripts are the Lua scripts of one namespace. Their texts begin with its name, so that their hashes are its own: a
// server that knows the hash has run the script for this namespace since it started.
type scripts struct {
	main  string // all operations; run by its hash
	hash  string
	renew string // gives a partition a new generation; run by its text
}

func newScripts(namespace string, newest byte) scripts {
	head := fmt.Sprintf("-- tarn, namespace %s\nlocal CHANNEL, OLDEST, NEWEST, MOST = %s, %d, %d, %d\n",
		namespace, luaString(channelOf(namespace)), oldestVersion, newest, maxHolds)
	s := scripts{main: head + recordLua + scriptLua, renew: head + recordLua + renewLua}
	sum := sha1.Sum([]byte(s.main))
	s.hash = hex.EncodeToString(sum[:])
	return s
}

// channelOf returns the channel on which the changes of a namespace are told.
func channelOf(namespace string) string { return "tarn:{" + namespace + "}" }

// luaString quotes s for Lua.
func luaString(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for i := range len(s) {
		fmt.Fprintf(&b, "\\%03d", s[i])
	}
	b.WriteByte('\'')
	return b.String()
}
