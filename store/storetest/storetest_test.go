package storetest

import (
	"testing"

	"github.com/tarncache/tarn"
)

func TestReferencePasses(t *testing.T) {
	Run(t, func(testing.TB) tarn.Store[string, string] { return newReference() }, Require(All))
}
