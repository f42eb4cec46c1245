package clienttest

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/tarncache/tarn/internal/redistest"
)

// TLS checks that a client's TLS is what it was made with: nobody else's certificate is taken, and an error says why.
func TLS(t *testing.T, dial Dial) {
	ca, stranger := redistest.NewCA(t), redistest.NewCA(t)
	server := redistest.Start(t, redistest.TLS(ca))
	other := redistest.Start(t, redistest.TLS(ca, "elsewhere.test"))
	mutual := redistest.Start(t, redistest.MutualTLS(ca))
	tests := []struct {
		name   string
		server *redistest.Server
		cfg    *tls.Config
		says   string // a part of the error; empty: none
	}{
		{"an authority that is trusted", server, ca.Trusting(), ""},
		{"an authority that is not", server, stranger.Trusting(), "certificate signed by unknown authority"},
		{"another host's certificate", other, ca.Trusting(), "certificate"},
		{"a client that has to be known", mutual, ca.TrustingAndKnown(), ""},
		{"a client that is not known", mutual, ca.Trusting(), " "}, // the server may hang up before it says why
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			began := time.Now()
			c, err := dial(t, To{Addrs: []string{tt.server.TLSAddr()}, TLS: tt.cfg})
			if err == nil {
				err = call(t.Context(), c, "SET", "k", "v").Err
			}
			switch {
			case tt.says == "" && err != nil:
				t.Error(err)
			case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("%v, want %q", err, tt.says)
			case tt.says != "":
				t.Logf("after %v: %v", time.Since(began), err)
				return
			}
			if tt.says == "" {
				l := listen(t, c, "ch")
				l.stands(t)
				tt.server.Call("PUBLISH", "ch", "m")
				within(t, "a message by TLS", l.messages)
			}
		})
	}
}
