package redisstore

import (
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

//go:embed record.lua
var recordLua string

//go:embed count.lua
var countLua string

//go:embed tags.lua
var tagsLua string

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
	s := scripts{
		main: head + recordLua + "if op == 'counter' or op == 'mark' or op == 'ensure' then\n" +
			countLua + tagsLua + "end\n" + scriptLua,
		renew: head + recordLua + countLua + renewLua,
	}
	sum := sha1.Sum([]byte(s.main))
	s.hash = hex.EncodeToString(sum[:])
	return s
}

// channelOf returns the channel on which the changes of a namespace are told.
func channelOf(namespace string) string { return "tarn:{" + namespace + "}" }

// answered returns the error of a reply of the script, and one where the reply is none of the answers that the operation
// has: it belongs to another command then, and nobody knows what became of this one.
func answered(r Reply, answers ...string) error {
	switch {
	case r.Err != nil:
		return r.Err
	case r.Kind != Text || !slices.Contains(answers, r.Text):
		return errReply
	}
	return nil
}

// oneOrNone is answered for an answer that is 0 or 1.
func oneOrNone(r Reply) error {
	switch {
	case r.Err != nil:
		return r.Err
	case r.Kind != Int || r.Int != 0 && r.Int != 1:
		return errReply
	}
	return nil
}

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
