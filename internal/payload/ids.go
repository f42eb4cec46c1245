package payload

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/tarncache/tarn/codec"
)

// firstForeign is the first ID that is not for tarn's own codecs and layers, of which a later version may have more.
const firstForeign = 128

// idsOf returns what payloads begin with. It panics if a layer is nil, or has one of tarn's IDs and is not tarn's.
func idsOf[V any](o Options[V]) string {
	field := o.Package + ": " + o.Config + "."
	ids := []byte{byte(1 + len(o.Layers)), ownID(field+"Codec", o.Codec)}
	for i, l := range o.Layers {
		name := fmt.Sprintf("%sLayers[%d]", field, i)
		if l == nil {
			panic(name + " is nil")
		}
		ids = append(ids, ownID(name, l))
	}
	return string(ids)
}

// ownID returns the ID of a codec or layer.
func ownID(name string, c interface{ ID() byte }) byte {
	id := c.ID()
	if id < firstForeign && !isTarns(reflect.TypeOf(c)) {
		panic(fmt.Sprintf("%s has the ID %d, which is tarn's own: yours are from %d on", name, id, firstForeign))
	}
	return id
}

// isTarns reports whether a type is of package codec or a module below it. One that embeds such a type is not.
func isTarns(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	root := reflect.TypeFor[codec.Compression]().PkgPath()
	return t.PkgPath() == root || strings.HasPrefix(t.PkgPath(), root+"/")
}
