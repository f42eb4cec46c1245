package redistest

import "strconv"

// secured is what a server needs to know to speak TLS.
type secured struct {
	port                 int
	ca, certificate, key string // files
	mutual               bool
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

// TLSAddr is the address at which the server speaks TLS.
func (s *Server) TLSAddr() string {
	if s.tls == nil {
		return ""
	}
	return address(s.tls.port)
}
