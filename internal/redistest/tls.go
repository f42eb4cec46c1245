package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/tarncache/tarn/internal/child"
)

// CA is an authority that nobody but a test knows.
type CA struct {
	t           testing.TB
	dir         string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewCA makes an authority.
func NewCA(t testing.TB) *CA {
	t.Helper()
	ca := &CA{t: t, dir: t.TempDir()}
	ca.key = ca.newKey()
	ca.certificate = ca.sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: "redistest"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}, ca.key, nil)
	ca.write("ca.crt", "CERTIFICATE", ca.certificate.Raw)
	return ca
}

// TLS makes the server speak TLS at TLSAddr too, as a host whose certificate is of ca. The hosts are the names and
// addresses in it; without any it is the host at which the server listens.
func TLS(ca *CA, hosts ...string) Option { return secure(ca, false, hosts) }

// MutualTLS is TLS with clients that have to show a certificate of ca.
func MutualTLS(ca *CA, hosts ...string) Option { return secure(ca, true, hosts) }

// Trusting is the configuration of a client that trusts ca and nobody else.
func (ca *CA) Trusting() *tls.Config {
	trusted := x509.NewCertPool()
	trusted.AddCert(ca.certificate)
	return &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}
}

// TrustingAndKnown is Trusting for a client that has a certificate of ca itself.
func (ca *CA) TrustingAndKnown() *tls.Config {
	key := ca.newKey()
	certificate := ca.issue("client", key)
	cfg := ca.Trusting()
	cfg.Certificates = []tls.Certificate{{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}}
	return cfg
}

// File is the file of the authority's certificate.
func (ca *CA) File() string { return filepath.Join(ca.dir, "ca.crt") }

// secured is what a server needs to know to speak TLS.
type secured struct {
	port                 int
	ca, certificate, key string // files
	mutual               bool
}

func secure(ca *CA, mutual bool, hosts []string) Option {
	return func(s *Server) {
		if len(hosts) == 0 {
			hosts = []string{"127.0.0.1", "localhost"}
		}
		key := ca.newKey()
		private, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			ca.t.Fatal(err)
		}
		s.tls = &secured{
			ca:          ca.File(),
			certificate: ca.write("server.crt", "CERTIFICATE", ca.issue("server", key, hosts...).Raw),
			key:         ca.write("server.key", "EC PRIVATE KEY", private),
			mutual:      mutual,
		}
	}
}

func (s *secured) lines() []string {
	clients := "no"
	if s.mutual {
		clients = "yes"
	}
	return []string{
		"tls-port " + strconv.Itoa(s.port),
		"tls-ca-cert-file " + strconv.Quote(s.ca),
		"tls-cert-file " + strconv.Quote(s.certificate),
		"tls-key-file " + strconv.Quote(s.key),
		"tls-auth-clients " + clients,
	}
}

// TLSAddr is the address at which the server speaks TLS, if it does.
func (s *Server) TLSAddr() string {
	if s.tls == nil {
		return ""
	}
	return child.Address(s.tls.port)
}

func (ca *CA) newKey() *ecdsa.PrivateKey {
	ca.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		ca.t.Fatal(err)
	}
	return key
}

// issue makes a certificate for a server or a client.
func (ca *CA) issue(name string, key *ecdsa.PrivateKey, hosts ...string) *x509.Certificate {
	ca.t.Helper()
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return ca.sign(template, key, ca.certificate)
}

// sign completes and signs a certificate for key. Without an issuer it is signed by itself.
func (ca *CA) sign(template *x509.Certificate, key *ecdsa.PrivateKey, issuer *x509.Certificate) *x509.Certificate {
	ca.t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().Add(24 * time.Hour)
	if issuer == nil {
		issuer = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), ca.key)
	if err != nil {
		ca.t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		ca.t.Fatal(err)
	}
	return certificate
}

// write writes a file in PEM and returns its path.
func (ca *CA) write(name, kind string, der []byte) string {
	ca.t.Helper()
	path := filepath.Join(ca.dir, name)
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		ca.t.Fatal(err)
	}
	return path
}
