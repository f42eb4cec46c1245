package redisstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/redisstore"
)

// asCluster is an edited client that says that it speaks to a cluster.
type asCluster struct{ *edited }

func (asCluster) Sharded() bool { return true }

// onCluster is what speaks to the same server as to a cluster.
func (s *tagged) onCluster(p *play) *tagged {
	cluster := *s
	cluster.client = asCluster{p.client}
	return cluster.another()
}

// What is made of an entry whose tags are invalidated before it is stored is not there for a moment, where one script sees
// the tags and the key: on one server, and on a cluster where they lie in one slot.
func TestOvertakenIsNeverThere(t *testing.T) {
	t.Parallel()
	p := alone(t)
	two := p.two()
	one := newTagged(t, p.client, p.server)
	for name, tt := range map[string]struct {
		*tagged
		tag string
	}{
		"one server":           {two.tagged, two.tag},
		"a slot of a cluster":  {one.onCluster(p), "a"},
		"a slot of one server": {one, "a"},
	} {
		for op, do := range map[string]func(names ...string){
			"compute": func(names ...string) {
				var found []bool
				_, _, err := tt.Compute(tt.ctx, "k", func(e tarn.Entry[string], there bool) (tarn.Entry[string], tarn.ComputeOp) {
					if found = append(found, there); !there {
						return e, tarn.ComputeKeep
					}
					return tarn.Entry[string]{Value: "computed", Tags: tags(0, names...)}, tarn.ComputeStore
				})
				require.NoError(t, err)
				require.Equal(t, []bool{true, false}, found, "%s: it starts again, and finds nothing", name)
			},
			"fill": func(names ...string) {
				l := tt.lease("k", true)
				require.False(t, tt.replace("k", l, tags(l.Stamp, names...)), name)
			},
		} {
			for _, names := range [][]string{nil, {"b"}, {"b", tt.tag}} {
				tt.set("k", tt.tag, "c")
				reader := redisstore.New(p.server.Client(), tt.config)
				absent := func(redisstore.Command) {
					_, found, err := reader.Get(tt.ctx, "k")
					require.NoError(t, err)
					require.False(t, found, "%s: %s: %v", name, op, names)
				}
				p.client.before = func(c redisstore.Command) {
					if len(c.Args) > 0 && c.Args[0] == op {
						p.client.before = nil
						must(0, reader.InvalidateTags(tt.ctx, tt.tag))
						p.client.before = absent
					}
				}
				do(names...)
				absent(redisstore.Command{})
				p.client.before = nil
			}
		}
	}
}
