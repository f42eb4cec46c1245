package redistest_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tarncache/tarn/internal/redistest"
)

func TestTLS(t *testing.T) {
	ca := redistest.NewCA(t)
	s := redistest.Start(t, redistest.TLS(ca))
	mutual := redistest.Start(t, redistest.MutualTLS(ca))
	elsewhere := redistest.Start(t, redistest.TLS(ca, "elsewhere.example"))
	named := ca.Trusting()
	named.ServerName = "elsewhere.example"
	stranger := ca.Trusting()
	stranger.Certificates = redistest.NewCA(t).TrustingAndKnown().Certificates

	tests := []struct {
		rule   string
		server *redistest.Server
		cfg    *tls.Config
		as     any // what the error is; nil: there is none
	}{
		{"its own CA is trusted", s, ca.Trusting(), nil},
		{"another is not", s, redistest.NewCA(t).Trusting(), new(x509.UnknownAuthorityError)},
		{"the certificate is of another host", elsewhere, ca.Trusting(), new(x509.HostnameError)},
		{"which is asked for by name", elsewhere, named, nil},
		// What the other side refuses is an alert of its own.
		{"a client without a certificate", mutual, ca.Trusting(), new(*net.OpError)},
		{"a client with one", mutual, ca.TrustingAndKnown(), nil},
		{"a client with another's", mutual, stranger, new(*net.OpError)},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			c := tt.server.ClientAs(redistest.Config{TLS: tt.cfg})
			for range 2 { // the second time over the same connection
				reply, err := c.Call(t.Context(), "PING")
				if tt.as != nil {
					require.ErrorAs(t, err, tt.as)
					return
				}
				require.NoError(t, err)
				require.Equal(t, "PONG", reply.Text)
			}
		})
	}
}
