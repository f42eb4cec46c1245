package codec_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn/codec"
)

type (
	user struct {
		ID   int64
		Name string
		Tags []string
	}
	page     []byte
	letter   byte
	letters  []letter
	sentence string
)

const (
	jsonID = 1
	rawID  = 2
)

// comesBack makes the bytes of a value with the default codec, and reads them again.
func comesBack[V any](t *testing.T, id byte, text string, value V) {
	t.Helper()
	c := codec.For[V]()
	require.Equal(t, id, c.ID(), "%T", value)
	made, err := c.Append([]byte("head"), value)
	require.NoError(t, err)
	require.Equal(t, "head"+text, string(made), "%T", value)
	got, err := c.Decode(made[4:])
	require.NoError(t, err)
	require.Equal(t, value, got)
}

func TestFor(t *testing.T) {
	comesBack(t, rawID, "\x00\xff{}", "\x00\xff{}")
	comesBack(t, rawID, "a sentence", sentence("a sentence"))
	comesBack(t, rawID, "\x00\xff{}", []byte("\x00\xff{}"))
	comesBack(t, rawID, "a page", page("a page"))
	comesBack(t, rawID, "ab", letters{'a', 'b'})
	comesBack(t, rawID, "", "")
	comesBack(t, rawID, "", []byte{})
	comesBack(t, rawID, `{"a":1}`, json.RawMessage(`{"a":1}`))
	comesBack(t, jsonID, `{"ID":42,"Name":"Ada","Tags":null}`, user{ID: 42, Name: "Ada"})
	comesBack(t, jsonID, `{"ID":0,"Name":"","Tags":null}`, &user{})
	comesBack(t, jsonID, `42`, 42)
	comesBack(t, jsonID, `["a"]`, []string{"a"})
	comesBack(t, jsonID, `null`, (*user)(nil))
	comesBack[any](t, jsonID, `"a"`, "a")
}

// TestDecodedIsOnesOwn changes what was read, as its next user does.
func TestDecodedIsOnesOwn(t *testing.T) {
	src := []byte("page")
	bytes, err := codec.For[page]().Decode(src)
	require.NoError(t, err)
	text, err := codec.For[sentence]().Decode(src)
	require.NoError(t, err)
	copy(src, "!!!!")
	require.Equal(t, "page", string(bytes))
	require.Equal(t, sentence("page"), text)
}

func TestJSONFails(t *testing.T) {
	_, err := codec.JSON[chan int]{}.Append(nil, nil)
	require.Error(t, err)
	_, err = codec.JSON[int]{}.Decode([]byte("a"))
	require.Error(t, err)
}

// Of a nil slice, only JSON tells that it was nil.
func ExampleFor() {
	for _, c := range []codec.Codec[[]byte]{codec.For[[]byte](), codec.JSON[[]byte]{}} {
		made, _ := c.Append(nil, nil)
		again, _ := c.Decode(made)
		fmt.Printf("%q, nil: %v\n", made, again == nil)
	}
	// Output:
	// "", nil: false
	// "null", nil: true
}
